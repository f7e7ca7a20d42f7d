/** A repository as one file: written by `git bundle`, and read back as what a stranger may have written. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { abortError, ForgeError } from '../errors.ts';
import { parseBranch } from '../names.ts';
import { runProcess, startProcess } from '../run-process.ts';
import { fetchBundleArgs, repositoryArgs } from './git-args.ts';
import type { Repositories } from './repositories.ts';

/** Of a repository that is only read. */
export type BundleSource = Pick<Repositories, 'pathOf' | 'exists' | 'environment'>;
type Parts = BundleSource & Pick<Repositories, 'ensure' | 'setHeadBranch'>;

const shortTimeoutMs = 60_000;
const fetchTimeoutMs = 600_000;
/** Refs of an imported app whose image was not in the file: pushing the same commit again must not say that all is up to date. */
const asideFolder = 'refs/forge/imported';

/** Whether the app's repository has anything that a bundle could hold. */
export async function hasRefs(app: string, { pathOf, exists, environment }: BundleSource): Promise<boolean> {
  if (!(await exists(app))) return false;
  const { stdout } = await runProcess('git', repositoryArgs(pathOf(app), 'for-each-ref', '--count=1', '--format=%(refname)'), { env: environment });
  return stdout.trim() !== '';
}

/** Commits at which pushes from shallow clones have cut the history off. */
export async function findShallow(app: string, { pathOf }: BundleSource): Promise<readonly string[]> {
  const text = await readFile(join(pathOf(app), 'shallow'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return '';
  });
  return text.split('\n').filter(Boolean);
}

/** Every ref with all that it leads to. Ends early when it is not read to its end. */
export async function* readBundle(app: string, { pathOf, environment }: BundleSource, signal: AbortSignal): AsyncGenerator<Buffer> {
  const child = startProcess('git', repositoryArgs(pathOf(app), 'bundle', 'create', '--quiet', '-', '--all'), { env: environment });
  const stop = () => void child.kill();
  signal.addEventListener('abort', stop, { once: true });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4_000)));
  child.stdin.end();
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const { exitCode } = await child;
    if (signal.aborted) throw abortError(signal);
    if (exitCode !== 0) throw new ForgeError('failed', `could not bundle the repository of ${app}: ${said.trim()}`);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

export interface BundleImport {
  readonly path: string;
  readonly shallow: readonly string[];
  readonly deployBranch: string | undefined;
  /** Whether the deploy branch is to look as if it was never pushed. */
  readonly isUnpushed: boolean;
  readonly signal: AbortSignal;
}

/** Into a new repository of the app. Every object is checked as those of a push are. Throws `invalid` for a bundle that git does not take. */
export async function importBundle(app: string, { path, shallow, deployBranch, isUnpushed, signal }: BundleImport, parts: Parts): Promise<void> {
  const repository = await parts.ensure(app);
  if (shallow.length > 0) await writeFile(join(repository, 'shallow'), `${shallow.join('\n')}\n`, { mode: 0o600 });
  const git = async (args: readonly string[], timeoutMs: number) => await runProcess('git', args, { env: parts.environment, timeoutMs, signal });
  const { exitCode, stderr } = await git(fetchBundleArgs(repository, path), fetchTimeoutMs);
  if (exitCode !== 0) throw new ForgeError('invalid', 'the code of the export was refused by git', { details: stderr.trim().split('\n').slice(-5) });
  if (deployBranch === undefined) return;
  const moveRef = async (words: readonly string[]): Promise<void> => {
    const ended = await git(repositoryArgs(repository, 'update-ref', ...words), shortTimeoutMs);
    if (ended.exitCode !== 0) throw new ForgeError('failed', `the branch ${deployBranch} of ${app} could not be set aside, so that it can be pushed again`, { details: ended.stderr.trim().split('\n').slice(-5) });
  };
  await parts.setHeadBranch(app, parseBranch(deployBranch));
  if (!isUnpushed) return;
  const branch = `refs/heads/${deployBranch}`;
  const { stdout } = await git(repositoryArgs(repository, 'for-each-ref', '--format=%(objectname)', '--', branch), shortTimeoutMs);
  if (stdout.trim() === '') return;
  await moveRef(['--', `${asideFolder}/${deployBranch}`, stdout.trim()]);
  await moveRef(['-d', '--', branch]);
}
