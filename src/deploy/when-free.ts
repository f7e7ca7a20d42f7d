/** What forge does to an app by itself, in the app's turn: at once when that is free, else as soon as it is. */
import type { Log } from '../log.ts';
import { delay } from '../wait.ts';
import type { Queue } from './queue.ts';

/** How often a turn that was taken is tried again. */
const busyPauseMs = 250;

export interface WhenFreeParts {
  readonly queue: Pick<Queue, 'takeIfFree'>;
  readonly log: Log;
  /** Done in the turn. Its signal aborts also when somebody else wants the turn: then all of it is done again later. */
  readonly task: (app: string, signal: AbortSignal) => Promise<void>;
}

export interface WhenFree {
  /** Resolves when it is done or has failed, which is logged, or is put off because the turn is taken. */
  run(app: string, signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is put off any more. */
  settled(): Promise<void>;
}

export function createWhenFree({ queue, log, task }: WhenFreeParts): WhenFree {
  const later = new Map<string, Promise<void>>();

  /** False: somebody else has the turn, or wanted it. A failure is no reason to try again at once. */
  const attempt = async (app: string, signal: AbortSignal): Promise<boolean> => {
    using turn = queue.takeIfFree(app, 'the reconciler');
    if (!turn) return false;
    try {
      // A push that mends an app must not wait until its broken release has had its time to not get ready.
      await task(app, AbortSignal.any([signal, turn.wanted]));
    } catch (error) {
      if (!signal.aborted && !turn.wanted.aborted) log.warn({ err: error, app }, 'the app could not be reconciled; the next pass tries again');
    }
    return signal.aborted || !turn.wanted.aborted;
  };
  const attemptLater = async (app: string, signal: AbortSignal): Promise<void> => {
    do await delay(busyPauseMs, signal).catch(() => undefined);
    while (!signal.aborted && !(await attempt(app, signal)));
    later.delete(app);
  };

  return {
    run: async (app, signal) => {
      if (!(await attempt(app, signal)) && !later.has(app)) later.set(app, attemptLater(app, signal));
    },
    settled: async () => void (await Promise.all(later.values())),
  };
}
