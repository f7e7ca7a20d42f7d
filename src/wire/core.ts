/** Everything below the doors, in the order in which it comes up. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { createBuilders } from '../build/create-builders.ts';
import type { Backups } from '../backup/backups.ts';
import type { Config } from '../config.ts';
import { recoverRenames } from '../apps/rename.ts';
import { createAttempts } from '../deploy/attempt.ts';
import type { DeployParts } from '../deploy/parts.ts';
import { recover } from '../deploy/recover.ts';
import { createDeployer, type Deployer } from '../deploy/deployer.ts';
import { superviseLiveness } from '../deploy/liveness.ts';
import { createLive } from '../deploy/live.ts';
import { createQueue } from '../deploy/queue.ts';
import { createReconciler, type Reconciler } from '../deploy/reconciler.ts';
import { createSlots } from '../deploy/slots.ts';
import { connectDocker } from '../docker/connect.ts';
import { createRepositories, type Repositories } from '../git/repositories.ts';
import { createFaults, type Faults } from '../faults.ts';
import type { Log } from '../log.ts';
import { connectProxy, type ProxyClient } from '../proxy/client.ts';
import { socketName } from '../proxy/protocol.ts';
import { replaceFile } from '../replace-file.ts';
import type { Retention } from '../retention/retention.ts';
import { createLogCollector, type LogCollector } from '../runtime/logs/collector.ts';
import { createRuntime, type Runtime } from '../runtime/runtime.ts';
import { parsePool, subnetCount } from '../runtime/subnet.ts';
import { allocateSubnetIndex } from '../store/network-slots.ts';
import { openStore, type Store } from '../store/store.ts';
import { getMountedVolume, setVolumeFilled } from '../store/volumes.ts';
import { wireApps, type AppThings } from './apps.ts';
import { wireBackups } from './backups.ts';
import { wireJobs, type JobServices } from './jobs.ts';
import { collectAfterwards, wireRetention } from './retention.ts';
import { untilDone } from './until-done.ts';

const root = resolve(import.meta.dirname, '../..');

/** Everything below the doors. */
export interface Core {
  readonly config: Config;
  readonly log: Log;
  readonly store: Store;
  readonly proxy: ProxyClient;
  readonly repositories: Repositories;
  readonly runtime: Runtime;
  readonly logs: LogCollector;
  readonly deployer: Deployer;
  readonly things: AppThings;
  readonly reconciler: Reconciler;
  readonly backups: Backups;
  readonly retention: Retention;
  readonly work: JobServices;
  /** Port in printed URLs; known once the proxy answers. */
  readonly publicPort: { http: number };
  readonly faults: Faults;
  /** Ends what an earlier run left under way. */
  recover(): Promise<void>;
  /** Removes the one-off containers of an earlier start of forge, unless that has succeeded already. */
  removeAbandoned(): Promise<void>;
  /** Removes what interrupted builds left. */
  sweepBuilds(): Promise<void>;
  readonly stopping: AbortSignal;
  /** Aborts `stopping`: from here on nothing waits for long. */
  stop(): void;
  /** Resolves once the signal aborted and nothing is replaced any more. */
  superviseLiveness(signal: AbortSignal): Promise<void>;
}

export const adminSocketPath = (config: Config): string => join(config.data, 'run', 'admin.sock');
export const webSocketPath = (config: Config): string => join(config.proxyDir, 'web.sock');

export async function wireCore(config: Config, log: Log, stack: AsyncDisposableStack): Promise<Core> {
  const store = openStore({ data: config.data, log });
  stack.defer(() => store.close());
  // Sources of builds that a killed forge had under way.
  rmSync(join(config.data, 'tmp'), { recursive: true, force: true });
  for (const folder of ['run', 'tmp', 'repos', 'ssh']) mkdirSync(join(config.data, folder), { recursive: true, mode: 0o700 });
  const stopping = new AbortController();
  const faults = createFaults(config.faultAt);
  const docker = connectDocker(config.dockerSocket);
  const [dataId, startId] = [await loadDataId(config.data), randomBytes(6).toString('hex')];
  const proxy = connectProxy({ socketPath: join(config.proxyDir, socketName), log });
  stack.defer(async () => await proxy.close());
  const logs = createLogCollector({ docker, directory: join(config.data, 'logs'), log });
  stack.defer(async () => await logs.close());
  const repositories = createRepositories({ directory: join(config.data, 'repos'), hooksPath: join(root, 'hooks'), nodePath: process.execPath, log });
  await repositories.cleanQuarantines();
  const volumes = { find: (app: string, name: string) => getMountedVolume(store, app, name), setFilled: (name: string) => setVolumeFilled(store, name) };
  const runtime = createRuntime({ docker, dataId, startId, config, log, logs, faults, volumes, allocateSubnet: (app) => allocateSubnetIndex(store, app, { slots: subnetCount(parsePool(config.networkPool)) }) });
  const live = createLive({ proxy, runtime, log, faults, domain: config.domain, controlSocket: webSocketPath(config), signal: stopping.signal });
  const { builders, forgetBuilds, tidy, sweep, settled } = createBuilders({ docker, config, dataId, log });
  stack.defer(settled);
  const queue = createQueue();
  const diskDirectories = [config.data, '/var/lib/docker'];
  const retention = wireRetention({ store, docker, dataId, config, queue, logs, diskDirectories, tidyBuilds: tidy, log }, stack);
  const removeAbandoned = untilDone(runtime.removeAbandoned, (error) => log.warn({ err: error }, 'what an earlier run left in the engine could not be removed yet'));
  const sweepBuilds = async (): Promise<void> => await sweep().catch((error: unknown) => log.warn({ err: error }, 'what interrupted builds left could not be removed yet'));
  void sweepBuilds();
  const publicPort = { http: config.http };
  const attempts = createAttempts({ store, data: config.data, log, faults });
  stack.defer(async () => await attempts.close());
  recoverRenames({ store, repositories, log });
  const recoverAll = async (app?: string): Promise<void> => await recover({ store, data: config.data, attempts, resolveRef: repositories.resolveRef, log }, app);
  const parts: DeployParts = {
    store,
    config,
    runtime,
    builders,
    live,
    queue,
    builds: createSlots(config.buildConcurrency),
    attempts,
    faults,
    settle: recoverAll,
    log,
    diskDirectories,
    reclaimSpace: retention.reclaim,
    urlOf: (app) => urlOf(`${app}.${config.domain}`, config.publicPort || publicPort.http),
  };
  const deployer = collectAfterwards(createDeployer(parts), retention);
  const things = wireApps({ ...parts, repositories, logs, forgetBuilds });
  const backups = wireBackups({ config, store, docker, dataId, startId, diskDirectories, log, stopping: stopping.signal }, stack);
  const work = wireJobs({ store, runtime, config, log }, stack);
  stack.defer(() => stopping.abort());
  return { config, log, store, proxy, repositories, runtime, logs, deployer, things, reconciler: createReconciler({ ...parts, logs }), backups, retention, work, publicPort, faults, recover: recoverAll, removeAbandoned, sweepBuilds, stopping: stopping.signal, stop: () => stopping.abort(), superviseLiveness: async (signal) => await superviseLiveness(parts, signal) };
}

const urlOf = (host: string, port: number): string => `http://${host}${port === 80 ? '' : `:${port}`}`;

/** A name for this data directory on the engine, made once. */
async function loadDataId(data: string): Promise<string> {
  const path = join(data, 'id');
  if (!existsSync(path)) await replaceFile(path, `${randomBytes(6).toString('hex')}\n`, 0o600);
  return readFileSync(path, 'utf8').trim();
}

