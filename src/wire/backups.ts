/** Backups, asked for and scheduled. */
import { createBackups, type Backups } from '../backup/backups.ts';
import { createVolumeFiles } from '../backup/volume-files.ts';
import { watchFreeSpace } from '../build/free-space.ts';
import type { Config } from '../config.ts';
import type { Docker } from '../docker/connect.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/store.ts';
import { forgeVersion } from '../version.ts';

export interface BackupWiring {
  readonly config: Config;
  readonly store: Store;
  readonly docker: Docker;
  readonly dataId: string;
  readonly startId: string;
  /** Where data and engine keep what they have. */
  readonly diskDirectories: readonly string[];
  readonly log: Log;
  readonly stopping: AbortSignal;
}

/** The schedule is kept until the stack unwinds. */
export function wireBackups({ config, store, docker, dataId, startId, diskDirectories, log, stopping }: BackupWiring, stack: AsyncDisposableStack): Backups {
  const { readVolume } = createVolumeFiles(docker, dataId, startId);
  const { data, domain, minFreeBytes, backupDir, backupSchedule, backupKeep } = config;
  // A backup must not stop every app on the machine.
  const limits = { directories: [...diskDirectories, backupDir], minFreeBytes: minFreeBytes / 2, what: 'the backup' };
  const backups = createBackups({ store, docker, data, dataId, domain, forge: forgeVersion, backupDir, readVolume, watchSpace: (signal) => watchFreeSpace({ ...limits, signal }), log, schedule: backupSchedule, keep: backupKeep });
  stack.use(backups.keepSchedule(stopping));
  return backups;
}
