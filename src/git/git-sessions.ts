/** The pushes and fetches under way, over whichever door: bounded, so that one key cannot fill the machine with processes. */
import { abortError, ForgeError } from '../errors.ts';
import type { ServeGit } from './fetch.ts';

export interface GitSessionLimits {
  readonly perActor: number;
  readonly total: number;
}

/** Each is a git and, for a push, a hook: some 60 MB at the peak. */
const defaultLimits: GitSessionLimits = { perActor: 32, total: 128 };

export interface GitSessions {
  /** The same service within the limits: throws `unavailable` beyond them, `forbidden` when it was ended by `endSessionsOf`. */
  bound(serve: ServeGit): ServeGit;
  /** Ends what an actor whose token or key is gone has under way; what is past its swap is finished. */
  endSessionsOf(actorName: string): void;
}

export function createGitSessions(limits: GitSessionLimits = defaultLimits): GitSessions {
  const sessions = new Set<{ readonly name: string; readonly controller: AbortController }>();
  const countOf = (name: string): number => sessions.values().filter((session) => session.name === name).toArray().length;
  return {
    bound: (serve) => async (io, app) => {
      const { name } = io.actor;
      const count = countOf(name);
      if (count >= limits.perActor) throw new ForgeError('unavailable', `${name} has ${count} pushes and fetches under way, and no more at one time`, { hint: 'wait until one of them has ended' });
      if (sessions.size >= limits.total) throw new ForgeError('unavailable', `forge serves ${limits.total} pushes and fetches, and no more at one time`, { hint: 'try again in a moment' });
      const session = { name, controller: new AbortController() };
      sessions.add(session);
      try {
        const status = await serve({ ...io, signal: AbortSignal.any([io.signal, session.controller.signal]) }, app);
        // What git still had to say is lost. A client that got half an answer as if it were whole waits for ever.
        if (session.controller.signal.aborted) throw abortError(session.controller.signal);
        return status;
      } finally {
        sessions.delete(session);
      }
    },
    endSessionsOf: (actorName) => {
      const reason = new ForgeError('forbidden', `${actorName} was removed`);
      for (const { name, controller } of sessions) if (name === actorName) controller.abort(reason);
    },
  };
}
