/** Ends forge with SIGKILL at a named point of a change, starts it again, and looks for everything that must not be. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import type { FaultPoint } from '../../src/faults.ts';
import { appFolder, bootForge, until, writeFiles, type Command, type RunningForge } from './forge.ts';
import { containersOf, idOf, watchOverlap } from './app-containers.ts';
import { isAlive } from './processes.ts';
import { startLoad, type LoadResult } from './load.ts';

export type FaultChange = 'push' | 'push with tasks' | 'first push' | 'push to a recreate app' | 'push whose ref does not move' | 'config:set' | 'releases:rollback' | 'ps:restart' | 'ps:scale';

export type FaultCase = readonly [FaultPoint, FaultChange];

/** The point and the change that reaches it; every point has at least one. */
export const faultCases: readonly FaultCase[] = [
  ['deployment-recorded', 'push'],
  ['log-opened', 'push'],
  ['turn-taken', 'push'],
  ['source-received', 'push'],
  ['build-started', 'push'],
  ['image-built', 'push'],
  ['predeploy-done', 'push with tasks'],
  ['release-recorded', 'push'],
  ['release-task-done', 'push with tasks'],
  ['containers-created', 'push'],
  ['containers-started', 'push'],
  ['instances-started', 'push'],
  ['release-current', 'push'],
  ['routes-swapped', 'push'],
  ['postdeploy-done', 'push with tasks'],
  ['hook-answered', 'push'],
  ['push-confirmed', 'push'],
  ['instances-promoted', 'push'],
  ['deployment-succeeded', 'push'],
  ['old-drained', 'push'],
  ['old-retired', 'push'],
  ['release-taken-back', 'push whose ref does not move'],
  ['routes-swapped-back', 'push whose ref does not move'],
  ['old-stopped', 'push to a recreate app'],
  ['containers-started', 'push to a recreate app'],
  ['routes-swapped', 'push to a recreate app'],
  ['routes-swapped', 'first push'],
  ['turn-taken', 'config:set'],
  ['instances-started', 'config:set'],
  ['release-current', 'config:set'],
  ['routes-swapped', 'config:set'],
  ['deployment-succeeded', 'config:set'],
  ['release-recorded', 'releases:rollback'],
  ['release-current', 'releases:rollback'],
  ['instances-promoted', 'releases:rollback'],
  ['routes-swapped', 'ps:restart'],
  ['old-drained', 'ps:restart'],
  ['containers-started', 'ps:scale'],
  ['routes-swapped', 'ps:scale'],
];

export interface FaultStage {
  readonly forge: RunningForge;
  /** Empty when all is as it must be. */
  run(point: FaultPoint, change: FaultChange): Promise<readonly string[]>;
  remove(): Promise<void>;
}

/** How soon after its restart forge must have put everything right. */
const healTimeoutMs = 20_000;
const requestsPerSecond = 60;

const files = (text: string): Record<string, string> => ({
  Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.js"]\n',
  'server.js': `require('node:http').createServer((request, response) => response.end('${text} ' + process.env.COLOR)).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`,
});

/** Each of them leaves a mark where it runs; predeploy's is part of the image. */
const taskFiles: Record<string, string> = {
  Procfile: 'web: node server.js\nrelease: node --version\n',
  'app.json': JSON.stringify({ scripts: { dokku: { predeploy: 'touch /app/mark', postdeploy: 'node --version' } } }),
};

export async function openFaultStage(): Promise<FaultStage> {
  const forge = await bootForge({ hasOwnProxy: true, settings: { drainTimeout: '2' } });
  const apps = new Map<string, string>();
  let count = 0;

  /** Pushes what answers `text`; the folder is made with the app's first push. */
  const push = async (app: string, text: string, more: Record<string, string> = {}): Promise<Command> => {
    const folder = apps.get(app) ?? (await appFolder({}));
    apps.set(app, folder);
    await writeFiles(folder, { ...files(text), ...more });
    await forge.commit(folder);
    return await forge.git$(folder, ['push', '--force', forge.remote(app), 'main']);
  };
  const change = async (app: string, kind: FaultChange, text: string): Promise<Command> => {
    switch (kind) {
      case 'config:set':
        return await forge.ssh$(['config:set', app, `COLOR=${text}`]);
      case 'releases:rollback':
        return await forge.ssh$(['releases:rollback', app]);
      case 'ps:restart':
        return await forge.ssh$(['ps:restart', app]);
      case 'ps:scale':
        return await forge.ssh$(['ps:scale', app, 'web=2']);
      case 'push with tasks':
        return await push(app, text, taskFiles);
      case 'push':
      case 'first push':
      case 'push to a recreate app':
      case 'push whose ref does not move':
        return await push(app, text);
    }
  };
  const prepare = async (kind: FaultChange): Promise<string> => {
    const app = kind === 'first push' ? `first${++count}` : kind === 'push to a recreate app' ? 'single' : kind === 'releases:rollback' ? 'undone' : kind === 'push with tasks' ? 'tasks' : 'site';
    if (kind === 'first push') return app;
    if (!apps.has(app)) await mustWork(await push(app, 'v0'));
    // Something else to go back to than what the last case went back to.
    if (kind === 'releases:rollback') await mustWork(await push(app, `v${++count}`));
    if (kind === 'ps:scale') await mustWork(await forge.ssh$(['ps:scale', app, 'web=1']));
    if (kind === 'push to a recreate app') setStrategy(forge.data, app, 'recreate');
    await until('one instance runs', async () => (await containersOf(forge, app)).length === 1);
    return app;
  };

  const run = async (point: FaultPoint, kind: FaultChange): Promise<readonly string[]> => {
    const app = await prepare(kind);
    const before = await look(forge, app);
    await forge.end('SIGTERM');
    await forge.begin({ faultAt: point });
    const refLock = join(forge.data, 'repos', `${app}.git`, 'refs/heads/main.lock');
    if (kind === 'push whose ref does not move') await writeFile(refLock, '');
    const { pid } = forge;
    const load = startLoad({ port: forge.http, host: `${app}.localhost`, perSecond: requestsPerSecond });
    const text = `v${++count}`;
    const violations: string[] = [];
    const overlap = kind === 'push to a recreate app' ? watchOverlap(forge, app) : undefined;
    try {
      const changing = change(app, kind, text);
      const isReached = await until('forge ends', async () => !isAlive(pid), 60_000).catch(() => false);
      if (!isReached) violations.push(`${point} was not reached`);
      const told = await changing;
      await forge.end('SIGKILL');
      await rm(refLock, { force: true });
      await forge.begin();
      violations.push(...(await untilHealed({ forge, app, before, told, kind })));
      // A request that began before may still be answered by what is draining; the rest is of one release.
      const answers = new Set<string>();
      for (let index = 0; index < 20; index++) answers.add(await served(forge, app));
      if (answers.size > 1) violations.push(`${[...answers].join(' and ')} answer`);
    } finally {
      violations.push(...judgeLoad(await load.stop(), kind, before), ...((await overlap?.stop()) ?? []));
    }
    violations.push(...(await pushAgain(app, kind)));
    return violations.map((what) => `${point}, ${kind}: ${what}`);
  };

  const pushAgain = async (app: string, kind: FaultChange): Promise<readonly string[]> => {
    if (kind === 'ps:scale') return [];
    const text = `v${++count}`;
    const { exitCode, all } = await push(app, text);
    if (exitCode !== 0) return [`the next push fails: ${all}`];
    const body = await served(forge, app);
    const violations = body.startsWith(`${text} `) ? [] : [`after the next push ${body} is served instead of ${text}`];
    if (kind === 'first push') await mustWork(await forge.ssh$(['apps:destroy', app, '--confirm', app]));
    return violations;
  };

  return { forge, run, remove: forge.remove };
}

interface Seen {
  readonly body: string;
  readonly ref: string;
  readonly version: number | undefined;
  readonly newest: { readonly id: string; readonly status: string; readonly failure: string | null; readonly version: number | null } | undefined;
  readonly unfinished: number;
}

async function look(forge: RunningForge, app: string): Promise<Seen> {
  const database = new Database(join(forge.data, 'forge.db'), { readonly: true });
  try {
    const row = database.prepare('SELECT current_version AS version FROM apps WHERE name = ?').get(app) as { version: number | null } | undefined;
    return {
      body: await served(forge, app),
      ref: await refOf(forge, app),
      version: row?.version ?? undefined,
      newest: database.prepare('SELECT id, status, failure, version FROM deployments WHERE app = ? ORDER BY id DESC LIMIT 1').get(app) as Seen['newest'],
      unfinished: (database.prepare('SELECT count(*) AS count FROM deployments WHERE ended_at IS NULL').get() as { count: number }).count,
    };
  } finally {
    database.close();
  }
}

/** Without the page of forge's that answers for an app without a release, which has a number of its own each time. */
async function served(forge: RunningForge, app: string): Promise<string> {
  const { status, body } = await forge.get(app);
  return status === 200 ? body : 'nothing';
}

const refOf = async (forge: RunningForge, app: string): Promise<string> =>
  (await execa('git', [`--git-dir=${join(forge.data, 'repos', `${app}.git`)}`, 'rev-parse', '--verify', '-q', 'refs/heads/main'], { reject: false })).stdout;

interface Judged {
  readonly forge: RunningForge;
  readonly app: string;
  readonly before: Seen;
  /** How the change ended for who asked for it. */
  readonly told: Command;
  readonly kind: FaultChange;
}

/** What is still wrong when the time is up. */
async function untilHealed(judged: Judged): Promise<readonly string[]> {
  let wrong: readonly string[] = [];
  await until('all is well', async () => (wrong = await findWrongs(judged)).length === 0, healTimeoutMs).catch(() => undefined);
  return wrong;
}

async function findWrongs({ forge, app, before, told, kind }: Judged): Promise<readonly string[]> {
  const now = await look(forge, app);
  const wrongs: string[] = [];
  const check = (isGood: boolean, what: string): void => void (isGood || wrongs.push(what));
  const isNew = now.version !== before.version;
  check(now.unfinished === 0, 'a deployment has no end');
  if (kind !== 'ps:scale') {
    const { newest } = now;
    check(newest?.id !== before.newest?.id, 'the deployment has no row');
    const isGood = newest?.status === 'succeeded' || (newest?.status === 'failed' && (newest.failure?.startsWith('interrupted') ?? false));
    check(isGood, `the deployment is ${newest?.status}: ${newest?.failure}`);
    if (kind !== 'ps:restart') check((newest?.status === 'succeeded') === isNew, `the deployment is ${newest?.status}, but v${now.version} is current after v${before.version}`);
    if (isNew) check(newest?.version === now.version, `v${now.version} is current, but the deployment made v${newest?.version}`);
    const log = join(forge.data, 'deployments', `${newest?.id}.log`);
    check(existsSync(log) && /interrupted|is live|deployed:/.test(readFileSync(log, 'utf8')), 'the log does not say what happened');
  }
  if (told.exitCode === 0 && kind !== 'ps:scale' && kind !== 'ps:restart') check(isNew, 'the change was said to be live, and is not');
  if (kind.includes('push')) check((now.ref !== before.ref) === isNew, `the ref ${now.ref === before.ref ? 'has not' : 'has'} moved, but v${now.version} is current after v${before.version}`);
  if (kind !== 'ps:restart' && kind !== 'ps:scale') check((now.body !== before.body) === isNew, `${now.body} is served, with v${now.version} current after v${before.version}`);
  wrongs.push(...(await findLeftOvers(forge, app, { version: now.version, kind })));
  return wrongs;
}

async function findLeftOvers(forge: RunningForge, app: string, { version, kind }: { readonly version: number | undefined; readonly kind: FaultChange }): Promise<readonly string[]> {
  const wrongs: string[] = [];
  const containers = await containersOf(forge, app);
  for (const { release, state, name } of containers) if (release !== String(version) || state !== 'running') wrongs.push(`container ${name} of v${release} is ${state}, v${version} is current`);
  const counts = version === undefined ? [0] : kind === 'ps:scale' ? [1, 2] : [1, Math.min(containers.length, kind === 'ps:restart' ? 2 : 1)];
  if (!counts.includes(containers.length)) wrongs.push(`${containers.length} containers`);
  const names = containers.map(({ name }) => name.replace(/-[0-9a-f]{8}$/, ''));
  if (new Set(names).size !== names.length) wrongs.push(`two in one place: ${names.join()}`);
  const networks = (await execa('docker', ['network', 'ls', '-q', '--filter', `label=forge.data=${idOf(forge)}`, '--filter', `label=forge.app=${app}`])).stdout.split('\n').filter(Boolean);
  if (networks.length !== (containers.length === 0 ? 0 : 1)) wrongs.push(`${networks.length} networks`);
  const volumes = (await execa('docker', ['volume', 'ls', '-q', '--filter', `label=forge.data=${idOf(forge)}`])).stdout.split('\n').filter(Boolean);
  if (volumes.length > 0) wrongs.push(`volumes ${volumes.join()}`);
  const sources = readdirSync(join(forge.data, 'tmp'));
  if (sources.length > 0) wrongs.push(`tmp/${sources.join()}`);
  const repository = readdirSync(join(forge.data, 'repos', `${app}.git`), { recursive: true, encoding: 'utf8' });
  const left = repository.filter((path) => /\.lock$|tmp_objdir-|incoming-/.test(path));
  if (left.length > 0) wrongs.push(`in the repository: ${left.join()}`);
  return wrongs;
}

function judgeLoad({ failures, bodies }: LoadResult, kind: FaultChange, before: Seen): readonly string[] {
  // One at a time, or none before: requests in between have nobody to answer them.
  if (kind === 'push to a recreate app' || kind === 'first push') return [];
  const wrongs = failures.length > 0 ? [`${failures.length} requests failed: ${failures[0]}`] : [];
  const others = bodies.filter((body) => body !== before.body);
  return others.length > 1 ? [...wrongs, `answers of ${bodies.join(', ')}`] : wrongs;
}

/** There is no operation for it that leaves the app as it is; forge reads it with each change. */
function setStrategy(data: string, app: string, strategy: string): void {
  const database = new Database(join(data, 'forge.db'));
  database.prepare(`UPDATE apps SET settings = json_set(settings, '$.strategy', ?) WHERE name = ?`).run(strategy, app);
  database.close();
}

async function mustWork({ exitCode, all }: Command): Promise<void> {
  if (exitCode !== 0) throw new Error(all);
}
