/** What the runtime needs to work. */
import type { Config } from '../config.ts';
import type { Docker } from '../docker/connect.ts';
import type { Instance } from '../domain.ts';
import type { Faults } from '../faults.ts';
import type { Log } from '../log.ts';
import type { AppNetworks } from './network.ts';
import type { ReadinessTimings } from './readiness.ts';
import type { VolumeBook } from './volumes.ts';

/** The collector of the apps' output. */
export interface InstanceLogs {
  /** Begins to follow a container that has just started. */
  follow(instance: Pick<Instance, 'app' | 'name' | 'containerId'>): void;
  /** Resolves when everything that the ended container wrote is stored. */
  settle(containerId: string): Promise<void>;
}

export interface RuntimeParts {
  readonly docker: Docker;
  /** Id of this forge's data directory. */
  readonly dataId: string;
  /** Names this start of forge. */
  readonly startId: string;
  readonly config: Pick<Config, 'domain' | 'readinessTimeout' | 'stopTimeout' | 'memory' | 'cpuShares' | 'pids'>;
  readonly networks: AppNetworks;
  readonly volumes: VolumeBook;
  readonly logs: InstanceLogs;
  readonly log: Log;
  readonly timings: ReadinessTimings;
  readonly faults?: Faults | undefined;
}
