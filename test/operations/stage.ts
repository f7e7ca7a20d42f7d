/** A forge without doors and engine: the real store and operations, and a deployer that only keeps the books. */
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { loadConfig } from '../../src/config.ts';
import { candidateState, isNothing } from '../../src/deploy/candidate.ts';
import type { Apps } from '../../src/apps/apps.ts';
import { createVolumes } from '../../src/apps/volumes.ts';
import type { ChangeRequest } from '../../src/deploy/changes.ts';
import { createBackups } from '../../src/backup/backups.ts';
import { connectDocker } from '../../src/docker/connect.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import type { Deployer, OneOffRequest } from '../../src/deploy/deployer.ts';
import type { Actor, Instance, Release, Session, Terminal } from '../../src/domain.ts';
import { ForgeError } from '../../src/errors.ts';
import { operator } from '../../src/operations/actors.ts';
import { createCron } from '../../src/jobs/cron.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import { runOperation } from '../../src/operations/run-operation.ts';
import type { Services } from '../../src/operations/services.ts';
import type { EnterRequest } from '../../src/runtime/enter.ts';
import type { VolumeStore } from '../../src/runtime/volume-store.ts';
import type { LogLine, ReadLogsOptions } from '../../src/runtime/logs/read-logs.ts';
import { getConfig } from '../../src/store/app-config.ts';
import { readAppState, writeAppState } from '../../src/store/app-state.ts';
import { deleteApp, getApp, updateApp } from '../../src/store/apps.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import type { Store } from '../../src/store/store.ts';
import { fakeContainers, type FakeContainers } from '../jobs/fake-containers.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

export interface Stage {
  /** What the store takes for the time of day. */
  readonly clock: { now: Date };
  readonly store: Store;
  readonly services: Services;
  /** What the deployer was asked, in order. */
  readonly asked: string[];
  readonly oneOffs: OneOffRequest[];
  readonly ended: string[];
  readonly entered: EnterRequest[];
  readonly containers: FakeContainers;
  readonly branches: Map<string, string>;
  readonly logLines: LogLine[];
  readonly logQueries: ReadLogsOptions[];
  instances: readonly Instance[];
  /** What instances answer to checks, by name and kind of probe; others pass. */
  readonly answers: Map<string, string>;
  /** The next change fails with this. */
  failure: ForgeError | undefined;
  /** Happens while the next change waits for its turn. */
  meanwhile: (() => void) | undefined;
  /** A command line as the operator, unless somebody else asks. */
  run(argv: readonly string[], options?: RunOptions): Promise<Result>;
  /** Runs and returns stdout; fails the test on any other status than 0. */
  ok(...argv: string[]): Promise<string>;
}

export interface RunOptions {
  readonly actor?: Actor;
  readonly stdin?: string | Readable;
  readonly terminal?: Terminal;
  readonly signal?: AbortSignal;
}

export interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function openStage(): Stage {
  const data = temporaryDirectory();
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = openTestStore(data, clock);
  const stage = {
    clock, store, asked: [] as string[], oneOffs: [] as OneOffRequest[], entered: [] as EnterRequest[], containers: fakeContainers(), ended: [] as string[], branches: new Map<string, string>(), logLines: [] as LogLine[],
    logQueries: [] as ReadLogsOptions[], instances: [] as readonly Instance[], answers: new Map<string, string>(), failure: undefined as ForgeError | undefined, meanwhile: undefined as (() => void) | undefined,
  };
  const room = { jobsPerApp: 25, jobsPerMachine: 100 };
  const jobs = createJobs({ store, containers: stage.containers, config: { jobTimeout: 60_000, ...room }, log: silentLog });
  const services: Services = {
    store,
    config: loadConfig({ data, flags: {}, env: {} }),
    retention: {
      collect: async () => ({ images: [], deployments: 0, releases: 0, logBytes: 0, cacheBytes: 0, busy: [], problems: [] }),
      report: async () => {
        throw new ForgeError('unavailable', 'there is no engine here');
      },
    },
    version: '1.2.3',
    deployer: bookkeeper(stage),
    backups: createBackups({
      store, data, docker: connectDocker(join(data, 'no-engine.sock')), dataId: 'test', domain: 'localhost', forge: '1.2.3', backupDir: join(data, 'backups'), schedule: '', keep: 7, log: silentLog,
      readVolume: async () => undefined, watchSpace: (signal) => ({ signal, [Symbol.dispose]: () => undefined }),
    }),
    volumes: createVolumes({ store, queue: createQueue(), volumes: shelf(stage), config: { minFreeBytes: 0, volumeMaxBytes: 1024 ** 4 }, diskDirectories: [], settle: async () => undefined, log: silentLog }),
    apps: mover(stage),
    jobs,
    cron: createCron({ store, jobs, config: room, log: silentLog }),
    runtime: { createAsk: ({ name }, _release, { probe }) => async () => stage.answers.get(`${name} ${probe.kind}`), enter: async (request) => (stage.entered.push(request), 4), findInstances: async (app) => stage.instances.filter((instance) => app === undefined || instance.app === app) },
    logs: {
      read: async function* (_app, options) {
        stage.logQueries.push(options);
        yield* stage.logLines;
        if (options.follow && !options.signal.aborted) await new Promise<void>((resolve) => options.signal.addEventListener('abort', () => resolve(), { once: true }));
      },
    },
    repositories: {
      resolveRef: async (app, ref) => (ref === `refs/heads/${stage.branches.get(app)}` ? '3f2a91c'.padEnd(40, '0') : undefined),
      openArchive: (_app, commit) => Readable.from([`files of ${commit.slice(0, 7)}`]),
      headBranch: async (app) => stage.branches.get(app), setHeadBranch: async (app, branch) => void stage.branches.set(app, branch),
    },
    log: silentLog,
    endSessionsOf: (name) => void stage.ended.push(name),
    keysChanged: async () => void stage.asked.push('keysChanged'),
  };
  const run = (argv: readonly string[], options: RunOptions = {}) => runSession(argv, options, services);
  const ok = async (...argv: string[]) => {
    const { status, stdout, stderr } = await run(argv);
    if (status !== 0) throw new Error(`forge ${argv.join(' ')} ended with ${status}: ${stderr}`);
    return stdout;
  };
  return Object.assign(stage, { services, run, ok });
}

async function runSession(argv: readonly string[], { actor = operator, stdin = '', terminal, signal }: RunOptions, services: Services): Promise<Result> {
  const stdout = collect();
  const stderr = collect();
  const session: Session = {
    actor,
    argv,
    stdin: typeof stdin === 'string' ? Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]) : stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    terminal,
    gitProtocol: undefined,
    signal: signal ?? new AbortController().signal,
  };
  const status = await runOperation(session, services);
  return { status, stdout: stdout.text(), stderr: stderr.text() };
}

function collect(): { readonly stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

/** Makes a release from what the store holds, as a deploy would, and serves it. */
export function release(store: Store, app: string, reason = 'Deploy 3f2a91c'): Release {
  const made = createRelease(store, { ...sampleRelease(app, getConfig(store, app)), reason });
  setCurrentRelease(store, app, made.version);
  return made;
}

const mover = ({ store, asked }: Pick<Books, 'store' | 'asked'>): Apps => ({
  rename: async ({ from, to }) => void asked.push(`rename ${from} ${to}`),
  clone: async ({ from, to, isStarted }) => {
    asked.push(`clone ${from} ${to} ${isStarted}`);
    return { release: 1, volumes: ['data'] };
  },
  destroy: async ({ app }) => {
    asked.push(`destroy ${app}`);
    deleteApp(store, app);
  },
  export: async ({ app, passphrase, hasImage, use }) => {
    asked.push(`export ${app} ${passphrase} ${hasImage}`);
    await use(Readable.from([Buffer.from('sealed')]));
  },
  import: async ({ app = 'hello', passphrase, input }) => {
    for await (const chunk of input) asked.push(`import ${app} ${passphrase} ${String(chunk)}`);
    return { app, release: 1 };
  },
  finishInterrupted: async () => undefined,
});

/** Volumes of an engine that holds none of their files. */
const shelf = ({ asked }: { readonly asked: string[] }): VolumeStore => ({
  dataId: 'data1',
  create: async (name) => void asked.push(`create volume ${name}`),
  remove: async (name) => void asked.push(`remove volume ${name}`),
  read: async (_name, _signal, use) => await use(Readable.from([Buffer.alloc(1024)])),
  write: async (name, archive) => {
    for await (const chunk of archive) asked.push(`write ${(chunk as Buffer).length} bytes to ${name}`);
  },
});

interface Books {
  readonly store: Store;
  readonly asked: string[];
  readonly oneOffs: OneOffRequest[];
  readonly failure: ForgeError | undefined;
  readonly meanwhile: (() => void) | undefined;
}

function bookkeeper(books: Books): Deployer {
  const note = (what: string, { app }: Pick<ChangeRequest, 'app'>) => void books.asked.push(`${what} ${app}`);
  return {
    deploy: async (request) => {
      note(`deploy ${request.origin.kind}`, request);
      if (request.openSource) for await (const chunk of await request.openSource(request.signal)) books.asked.push(`source ${String(chunk)}`);
      return release(books.store, request.app, request.reason);
    },
    change: async (request) => {
      if (books.failure) throw books.failure;
      books.meanwhile?.();
      const { app, store } = { app: getApp(books.store, request.app), store: books.store };
      if (isNothing(request.change, readAppState(store, app.name))) return { release: undefined, pending: 'unchanged' };
      writeAppState(store, app.name, candidateState(app, request.change, store));
      if (app.currentVersion === undefined) return { release: undefined, pending: 'no-release' };
      if (!request.restart) return { release: undefined, pending: 'no-restart' };
      note('change', request);
      request.output.write(`-----> ${request.reason}\n`);
      return { release: release(store, app.name, request.reason).version, pending: undefined };
    },
    rollback: async (request) => {
      note(`rollback ${request.part} v${request.version ?? '?'}`, request);
      return release(books.store, request.app, 'Rollback');
    },
    restart: async (request) => note('restart', request),
    scale: async (request) => {
      note(`scale ${JSON.stringify(request.changes)}`, request);
      const { formation } = getApp(books.store, request.app);
      const limits = { memoryBytes: 1, cpuShares: 2, pids: 3 };
      const changed = Object.entries(request.changes).map(([type, quantity]) => [type, { quantity, limits }] as const);
      return updateApp(books.store, request.app, { formation: { ...formation, ...Object.fromEntries(changed) } }).formation;
    },
    stop: async (request) => {
      note('stop', request);
      updateApp(books.store, request.app, { isStopped: true });
    },
    start: async (request) => {
      note('start', request);
      updateApp(books.store, request.app, { isStopped: false });
    },
    cancel: async (id) => {
      books.asked.push(`cancel ${id}`);
      return 'deployment';
    },
    runOneOff: async (request) => {
      books.oneOffs.push(request);
      return 3;
    },
    urlOf: (app) => `http://${app}.localhost:8080`,
  };
}
