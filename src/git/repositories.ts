/** The bare repositories, one per app. HEAD of each names the branch that deploys. */
import { access, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { parseAppName, parseBranch } from '../names.ts';
import { runProcess } from '../run-process.ts';
import { delay } from '../wait.ts';
import { cloneArgs, compactArgs, gitEnvironment, initArgs, repositoryArgs } from './git-args.ts';
import { endLeftOverPushes } from './left-over-pushes.ts';
import { readHead, readRefs } from './read-repository.ts';

/** With these, `git archive` writes the blobs' own bytes: no filters, no conversions, nothing left out. */
const attributes = '* -export-ignore -export-subst -ident -text -eol -filter -working-tree-encoding\n';
/** A lock this young may belong to a git that an earlier forge started and that is about to end. */
const youngLockMs = 2_000;
const unusedName = '.empty';
const compactTimeoutMs = 600_000;

export interface Repositories {
  readonly hooksPath: string;
  /** Environment of every git process. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the app's repository is or would be. Throws `invalid` for a name that is none. */
  pathOf(app: string): string;
  /** Makes the repository unless it is there, and sets what forge relies on. Resolves to its path. */
  ensure(app: string): Promise<string>;
  exists(app: string): Promise<boolean>;
  /** Path of a repository that stays empty: what is shown of an app without one. */
  ensureEmpty(): Promise<string>;
  /** Object id that the full ref name (`refs/heads/main`) holds, `undefined` without repository or ref. Throws `failed` when git cannot tell. */
  resolveRef(app: string, ref: string): Promise<string | undefined>;
  /** Short names of all branches. */
  findBranches(app: string): Promise<readonly string[]>;
  /** The branch that HEAD names, whether it exists yet or not; `undefined` without repository. */
  headBranch(app: string): Promise<string | undefined>;
  setHeadBranch(app: string, branch: string): Promise<void>;
  /** The repository of the one becomes that of the other, at once; done already, it does nothing. */
  rename(from: string, to: string): void;
  /** A copy of the repository, unless there is none. Throws `conflict` when the other app has one. */
  copy(from: string, to: string): Promise<void>;
  /** Away when this returns, gone when it resolves; done already, it does nothing. */
  remove(app: string): Promise<void>;
  /** Joins the packs of many pushes into few; safe beside pushes and fetches. Does nothing while there are fewer than `fromPacks` (50). */
  compact(app: string, fromPacks?: number): Promise<void>;
  /** Waits for pushes that an earlier forge left, then removes what killed git processes left: quarantined objects and locks. Called before the first push. */
  cleanQuarantines(): Promise<void>;
}

export interface RepositoriesOptions {
  readonly directory: string;
  readonly hooksPath: string;
  /** The node that runs hooks, named `node`. */
  readonly nodePath: string;
  readonly log: Log;
}

export function createRepositories({ directory, hooksPath, nodePath, log }: RepositoriesOptions): Repositories {
  const environment = gitEnvironment(dirname(nodePath));
  const compacting = new Set<string>();
  const creations = new Map<string, Promise<string>>();
  const asideOf = (app: string): string => join(directory, `.removed-${app}-${process.pid}-${Date.now()}`);
  const pathOf = (app: string): string => join(directory, `${parseAppName(app)}.git`);
  const git = async (args: readonly string[]) => await runProcess('git', args, { env: environment, maxBytes: 64 * 1024 * 1024 });

  const ensureAt = async (path: string): Promise<string> => {
    // Two pushes of a new app may come at once.
    const running = creations.get(path);
    if (running) return await running;
    const creation = create(path, git).finally(() => creations.delete(path));
    creations.set(path, creation);
    return await creation;
  };
  const placeOf = (app: string) => ({ path: pathOf(app), git });

  return {
    hooksPath,
    environment,
    pathOf,
    ensure: async (app) => await ensureAt(pathOf(app)),
    exists: async (app) => await isThere(join(pathOf(app), 'HEAD')),
    ensureEmpty: async () => await ensureAt(join(directory, `${unusedName}.git`)),
    resolveRef: async (app, ref) => (await readRefs(placeOf(app), ref)).get(ref),
    findBranches: async (app) => [...(await readRefs(placeOf(app), 'refs/heads/')).keys()].map(branchOf),
    headBranch: async (app) => branchOf((await readHead(placeOf(app))) ?? '') || undefined,
    setHeadBranch: async (app, branch) => {
      const { exitCode, stderr } = await git(repositoryArgs(pathOf(app), 'symbolic-ref', '--', 'HEAD', `refs/heads/${parseBranch(branch)}`));
      if (exitCode !== 0) throw new ForgeError('failed', `could not make ${branch} the deploy branch of ${app}: ${stderr.trim()}`);
    },
    rename: (from, to) => {
      if (existsSync(pathOf(from)) && !existsSync(pathOf(to))) renameSync(pathOf(from), pathOf(to));
    },
    copy: async (from, to) => {
      if (await mirror({ from: pathOf(from), to: pathOf(to), aside: asideOf(to), environment })) await ensureAt(pathOf(to));
    },
    remove: async (app) => {
      // Away in one step: a removal that is interrupted leaves no half repository under the app's name.
      const doomed = asideOf(app);
      moveAtOnce(pathOf(app), doomed);
      await rm(doomed, { recursive: true, force: true });
    },
    compact: async (app, fromPacks = 50) => {
      const packs = (await list(join(pathOf(app), 'objects', 'pack'))).filter((name) => name.endsWith('.pack'));
      if (packs.length < fromPacks || compacting.has(app)) return;
      compacting.add(app);
      const { exitCode, stderr } = await runProcess('git', compactArgs(pathOf(app)), { env: environment, timeoutMs: compactTimeoutMs }).finally(() => compacting.delete(app));
      if (exitCode !== 0) throw new ForgeError('failed', `could not compact the repository of ${app}: ${stderr.trim()}`);
    },
    cleanQuarantines: async () => {
      await endLeftOverPushes(directory, { log });
      await cleanAll(directory);
    },
  };
}

const branchOf = (ref: string): string => ref.replace(/^refs\/heads\//, '');

/** git takes refs first and then what they lead to: a push meanwhile is in it or not. False: there is none to copy. */
async function mirror({ from, to, aside, environment }: { readonly from: string; readonly to: string; readonly aside: string; readonly environment: Readonly<Record<string, string>> }): Promise<boolean> {
  if (!(await isThere(join(from, 'HEAD')))) return false;
  if (await isThere(to)) throw new ForgeError('conflict', `there is a repository ${to} already`);
  const { exitCode, stderr } = await runProcess('git', cloneArgs(from, aside), { env: environment, timeoutMs: compactTimeoutMs });
  if (exitCode !== 0) throw new ForgeError('failed', `could not copy the repository ${from}: ${stderr.trim()}`);
  await rename(aside, to);
  return true;
}

async function create(path: string, git: (args: readonly string[]) => Promise<{ exitCode: number; stderr: string }>): Promise<string> {
  if (!(await isThere(join(path, 'HEAD')))) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const { exitCode, stderr } = await git(initArgs(path));
    if (exitCode !== 0) throw new ForgeError('failed', `could not make the repository ${path}: ${stderr.trim()}`);
  }
  await mkdir(join(path, 'info'), { recursive: true });
  const file = join(path, 'info', 'attributes');
  if ((await readFile(file, 'utf8').catch(ignoreAbsent)) !== attributes) await writeFile(file, attributes);
  return path;
}

async function cleanAll(directory: string): Promise<void> {
  for (const name of await list(directory)) {
    if (name.startsWith('.removed-')) await rm(join(directory, name), { recursive: true, force: true });
    if (name.endsWith('.git')) await clean(join(directory, name));
  }
}

async function clean(repository: string): Promise<void> {
  const objects = join(repository, 'objects');
  for (const name of await list(objects)) {
    if (/^(?:tmp_objdir-|incoming-)/.test(name)) await rm(join(objects, name), { recursive: true, force: true });
  }
  for (const name of await list(join(objects, 'pack'))) {
    if (name.startsWith('tmp_')) await rm(join(objects, 'pack', name), { force: true });
  }
  const refs = (await list(join(repository, 'refs'), true)).map((name) => join('refs', name));
  for (const name of [...(await list(repository)), ...refs]) {
    if (name.endsWith('.lock')) await removeLock(join(repository, name));
  }
}

/** Unless it is not there. */
function moveAtOnce(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    ignoreAbsent(error as NodeJS.ErrnoException);
  }
}

async function removeLock(path: string): Promise<void> {
  const found = await lstat(path).catch(ignoreAbsent);
  if (!found?.isFile()) return;
  const ageMs = Date.now() - found.mtimeMs;
  if (ageMs < youngLockMs) await delay(Math.min(youngLockMs, youngLockMs - ageMs));
  await rm(path, { force: true });
}

const list = async (path: string, recursive = false): Promise<readonly string[]> => (await readdir(path, { recursive }).catch(ignoreAbsent)) ?? [];

const isThere = async (path: string): Promise<boolean> =>
  await access(path).then(
    () => true,
    () => false,
  );

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
