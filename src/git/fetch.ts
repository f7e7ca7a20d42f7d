/** `git clone` and `git fetch` of an app's repository, whichever door they come through. */
import type { Actor, Session } from '../domain.ts';
import { parseAppName } from '../names.ts';
import type { GitMode } from './git-args.ts';
import type { Repositories } from './repositories.ts';
import { uploadPack } from './upload-pack.ts';

/** What git talks through; a `Session` is one. */
export interface GitIo extends Pick<Session, 'actor' | 'stdin' | 'stdout' | 'stderr' | 'gitProtocol' | 'signal'> {
  /** Default: `full`. */
  readonly mode?: GitMode;
}

/** Serves one of git's services on an app's repository to its end; resolves to git's exit status. Throws before git has written anything. */
export type ServeGit = (io: GitIo, app: string) => Promise<number>;

export interface FetchParts {
  readonly repositories: Repositories;
  /** Throws unless the actor may see the app; the same for an app that does not exist and one that is not theirs. */
  authorize(actor: Actor, app: string): void | Promise<void>;
}

export function createFetch({ repositories, authorize }: FetchParts): ServeGit {
  return async (io, app) => {
    parseAppName(app);
    await authorize(io.actor, app);
    // An app that was never pushed clones as an empty repository.
    const repositoryPath = (await repositories.exists(app)) ? repositories.pathOf(app) : await repositories.ensureEmpty();
    const { stdin, stdout, stderr, gitProtocol, signal, mode = 'full' } = io;
    return await uploadPack({ repositoryPath, mode, gitProtocol, env: repositories.environment, stdin, stdout, stderr, signal });
  };
}
