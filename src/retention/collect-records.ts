/** Forgets old deployments, releases, logs and temporary files. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { deploymentLogPath } from '../deploy/attempt.ts';
import { deleteOldAudit } from '../store/audit.ts';
import { findDeployments } from '../store/deployments.ts';
import { deleteOldDeployments, withoutDeployment } from '../store/old-deployments.ts';
import { deleteOldReleases } from '../store/release-images.ts';
import type { RetentionParts } from './parts.ts';

/** A release has a snapshot of the config, which is secret: one that nobody can go back to is not kept for ever. */
const keepVersions = 500;
/** A build may print without end; the newest deployment's log stays whatever it weighs. */
const deploymentLogBytes = 256 * 1024 * 1024;
const temporaryForMs = 24 * 60 * 60_000;

export interface CollectedRecords {
  readonly deployments: number;
  readonly releases: number;
  readonly logBytes: number;
}

/** Of one app. */
export async function collectRecords(app: string, parts: RetentionParts): Promise<CollectedRecords> {
  const { store, config, logs } = parts;
  const gone = deleteOldDeployments(store, app, config.keepDeployments);
  const releases = deleteOldReleases(store, app, keepVersions);
  for (const id of gone) await rm(deploymentLogPath(config.data, id), { force: true });
  const logBytes = (await logs.trim(app, config.keepLogBytes)) + (await trimDeploymentLogs(app, parts));
  return { deployments: gone.length, releases, logBytes };
}

/** Of the whole machine: who changed what, beyond the newest. */
export const collectAudit = ({ store, config }: Pick<RetentionParts, 'store' | 'config'>): number => deleteOldAudit(store, config.keepAudit);

/** What a forge that was killed in the middle left: logs of deployments that are not remembered, temporary files of nobody. */
export async function collectStrays({ store, config }: RetentionParts): Promise<void> {
  const ids = (await namesIn(join(config.data, 'deployments'))).flatMap((name) => /^(\w{16})\.log$/.exec(name)?.[1] ?? []);
  for (const id of withoutDeployment(store, ids)) await rm(deploymentLogPath(config.data, id), { force: true });
  const before = Date.now() - temporaryForMs;
  for (const name of await namesIn(join(config.data, 'tmp'))) {
    const path = join(config.data, 'tmp', name);
    const stats = await stat(path).catch(() => undefined);
    if (stats && stats.mtimeMs < before) await rm(path, { recursive: true, force: true });
  }
}

async function trimDeploymentLogs(app: string, { store, config }: RetentionParts): Promise<number> {
  let [kept, freed] = [0, 0];
  for (const [index, { id, endedAt }] of findDeployments(store, { app, limit: Infinity }).entries()) {
    const path = deploymentLogPath(config.data, id);
    const bytes = (await stat(path).catch(() => undefined))?.size ?? 0;
    kept += bytes;
    if (kept <= deploymentLogBytes || index === 0 || endedAt === undefined || bytes === 0) continue;
    await rm(path, { force: true });
    freed += bytes;
  }
  return freed;
}

const namesIn = async (folder: string): Promise<readonly string[]> => await readdir(folder).catch(() => []);
