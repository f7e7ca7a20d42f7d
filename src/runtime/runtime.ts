/** The engine door: instances of releases, started, found, watched and retired in Docker. */
import type { Check } from '../app-file.ts';
import type { Config } from '../config.ts';
import type { Docker } from '../docker/connect.ts';
import { findImage } from '../docker/images.ts';
import type { Instance, Release } from '../domain.ts';
import type { Faults } from '../faults.ts';
import type { Log } from '../log.ts';
import { enter, type EnterRequest } from './enter.ts';
import { findInstances } from './find-instances.ts';
import { checkApp, checkFirewall, type FirewallCheck } from './firewall-check.ts';
import { createJobContainers, type JobContainers } from './job-containers.ts';
import { createAppNetworks } from './network.ts';
import { createImageStore, type ImageStore } from './image-store.ts';
import { createOneOffs } from './one-offs.ts';
import type { InstanceLogs, RuntimeParts } from './parts.ts';
import { askOf, placeOf, type Ask } from './probe.ts';
import { readinessTimings, type ReadinessTimings } from './readiness.ts';
import { removeApp } from './remove-app.ts';
import { promote, restartInstance, retire, type RetireFailure, type RetireOptions } from './retire.ts';
import { removeAbandoned, type OneOffRequest } from './run-one-off.ts';
import { runTask, type TaskRequest } from './run-task.ts';
import { startRelease, type StartRequest } from './start.ts';
import { parsePool, subnetCount } from './subnet.ts';
import { createVolumeStore, sweepVolumeContainers, type VolumeStore } from './volume-store.ts';
import type { VolumeBook } from './volumes.ts';
import { watch, type RuntimeEvent } from './watch.ts';

export interface Runtime {
  /** Starts a release's instances and resolves when all are ready; on failure nothing of them is left. */
  startRelease(request: StartRequest): Promise<readonly Instance[]>;
  /** Restart policy on: from now on the engine brings them back when they crash. */
  promote(instances: readonly Instance[]): Promise<void>;
  /** SIGTERM, SIGKILL after the stop timeout, removal; the network goes with the last container. Never throws. */
  retire(instances: readonly Instance[], options: RetireOptions): Promise<readonly RetireFailure[]>;
  /** Starts an instance whose container is there but does not run. */
  restartInstance(instance: Instance, signal?: AbortSignal): Promise<void>;
  /** All instances of this forge or of one app, ended ones included. */
  findInstances(app?: string): Promise<readonly Instance[]>;
  /** Runs one command in a fresh container; resolves to its exit status. The container is gone afterwards in any case. */
  runOneOff(request: OneOffRequest): Promise<number>;
  /** Images of releases, besides building them. */
  readonly images: ImageStore;
  /** Volumes in the engine: made, removed, read and written. */
  readonly volumes: VolumeStore;
  /** Runs one task of a deploy and shows what it writes; resolves, when it ended with status 0, to the id of the image that keeps its changes. */
  runTask(request: TaskRequest): Promise<string | undefined>;
  /** A command in an instance that runs; resolves to its exit status. */
  enter(request: EnterRequest): Promise<number>;
  /** Commands that nobody waits for. */
  readonly jobs: JobContainers;
  /** Removes one-off containers, those that volumes were read through, and networks without containers that an earlier start of forge left. */
  removeAbandoned(): Promise<void>;
  /** A check's question to an instance that runs, to be asked any number of times, one after the other. */
  createAsk(instance: Instance, release: Release, check: Check): Ask;
  /** Starts and ends of instances until the signal aborts, across restarts of the engine. */
  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  /** Tells from inside a container whether the firewall is in place. Never throws for a test that could not be made. */
  checkFirewall(signal: AbortSignal): Promise<FirewallCheck>;
  /** Whether the engine has this image, without asking a registry. */
  hasImage(reference: string): Promise<boolean>;
  /** Removes every container of the app, one-off ones included, and its network. */
  removeApp(app: string): Promise<void>;
}

export interface RuntimeOptions {
  readonly docker: Docker;
  readonly dataId: string;
  /** Names this start of forge. */
  readonly startId: string;
  readonly config: Pick<Config, 'domain' | 'readinessTimeout' | 'stopTimeout' | 'networkPool' | 'memory' | 'cpuShares' | 'pids'>;
  readonly log: Log;
  /** The app's place in the network pool; the same one for as long as the app exists. */
  allocateSubnet(app: string): number;
  readonly logs: InstanceLogs;
  /** Which volumes apps have. */
  readonly volumes: VolumeBook;
  /** Other than the defaults only in tests. */
  readonly timings?: ReadinessTimings;
  readonly faults?: Faults;
}

export function createRuntime(options: RuntimeOptions): Runtime {
  const { docker, dataId, startId, config, log, logs } = options;
  const last = subnetCount(parsePool(config.networkPool)) - 1;
  const allocateSubnet = (app: string): number => (app === checkApp ? last : options.allocateSubnet(app));
  const networks = createAppNetworks({ docker, dataId, pool: config.networkPool, allocateSubnet });
  const parts: RuntimeParts = { docker, dataId, startId, config, networks, volumes: options.volumes, logs, log, timings: options.timings ?? readinessTimings, faults: options.faults };
  const oneOffs = createOneOffs(parts);
  const jobs = createJobContainers(parts);
  return {
    startRelease: (request) => startRelease(request, parts),
    promote: (instances) => promote(instances, parts),
    retire: (instances, retireOptions) => retire(instances, retireOptions, parts),
    restartInstance: (instance, signal) => restartInstance(instance, signal, parts),
    findInstances: (app) => findInstances({ docker, dataId, app }),
    runOneOff: (request) => oneOffs.run(request),
    enter: (request) => enter(request, parts),
    jobs,
    runTask: (request) => runTask(request, parts),
    images: createImageStore({ docker, dataId }),
    volumes: createVolumeStore(parts),
    removeAbandoned: async () => {
      await removeAbandoned(parts);
      await sweepVolumeContainers(parts);
      await networks.removeAllEmpty();
    },
    createAsk: (instance, release, check) => askOf(check, placeOf(instance, release, { docker, domain: config.domain })),
    watch: (signal) => watch({ docker, dataId, log }, signal),
    checkFirewall: (signal) => checkFirewall({ parts, nodePath: process.execPath, signal }),
    hasImage: async (reference) => (await findImage(docker, reference)) !== undefined,
    removeApp: async (app) => {
      jobs.endReaders(app);
      await oneOffs.end(app);
      await removeApp(app, parts);
    },
  };
}
