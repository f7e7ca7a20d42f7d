/** The files of a stored commit as a tar, as a push of it would have streamed them. */
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { abortError, ForgeError } from '../errors.ts';
import { startProcess } from '../run-process.ts';
import { repositoryArgs } from './git-args.ts';

export interface OpenArchive {
  readonly repositoryPath: string;
  /** Object id. */
  readonly commit: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The stream breaks off with an error when git does, or when the signal aborts. */
export function openArchive({ repositoryPath, commit, env, signal }: OpenArchive): Readable {
  const child = startProcess('git', repositoryArgs(repositoryPath, '-c', 'tar.umask=0022', 'archive', '--format=tar', commit), { env });
  const archive = new PassThrough();
  const kill = (): void => {
    child.kill('SIGTERM');
    archive.destroy(abortError(signal));
  };
  if (signal.aborted) kill();
  signal.addEventListener('abort', kill, { once: true });
  child.stdin.end();
  child.stderr.resume();
  void pipeline(child.stdout, archive, { end: false })
    .then(async () => {
      const { exitCode } = await child;
      if (exitCode !== 0) throw new ForgeError('failed', `git could not read the files of ${commit.slice(0, 7)} (status ${exitCode ?? 'unknown'})`);
      archive.end();
    })
    .catch((error: Error) => archive.destroy(error))
    .finally(() => signal.removeEventListener('abort', kill));
  return archive;
}
