/** What operations may use; main wires it. */
import type { Readable } from 'node:stream';
import type { Apps } from '../apps/apps.ts';
import type { Volumes } from '../apps/volumes.ts';
import type { Backups } from '../backup/backups.ts';
import type { Config } from '../config.ts';
import type { Deployer } from '../deploy/deployer.ts';
import type { Cron } from '../jobs/cron.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Log } from '../log.ts';
import type { LogCollector } from '../runtime/logs/collector.ts';
import type { Retention } from '../retention/retention.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';

export interface Services {
  readonly store: Store;
  readonly config: Config;
  /** Version of forge, without `v`. */
  readonly version: string;
  readonly deployer: Deployer;
  readonly backups: Pick<Backups, 'create' | 'list'>;
  readonly retention: Pick<Retention, 'collect' | 'report'>;
  readonly volumes: Volumes;
  readonly apps: Apps;
  readonly jobs: Pick<Jobs, 'claim' | 'stop'>;
  readonly cron: Pick<Cron, 'runNow'>;
  readonly runtime: Pick<Runtime, 'findInstances' | 'enter' | 'createAsk'>;
  readonly logs: Pick<LogCollector, 'read'>;
  readonly repositories: BranchChoice & StoredCode;
  readonly log: Log;
  /** Ends every session of the key or token of this name: it was revoked. */
  endSessionsOf(name: string): void;
  /** Keys were added or removed: what the machine's OpenSSH reads must follow. */
  keysChanged(): Promise<void>;
}

/** Which branch of an app's repository deploys. */
export interface BranchChoice {
  /** `undefined` until the first push has chosen. */
  headBranch(app: string): Promise<string | undefined>;
  setHeadBranch(app: string, branch: string): Promise<void>;
}

/** What was pushed last. */
export interface StoredCode {
  /** Commit that the full ref name holds. */
  resolveRef(app: string, ref: string): Promise<string | undefined>;
  /** Its files as a tar. */
  openArchive(app: string, commit: string, signal: AbortSignal): Readable;
}
