/** Keeps build caches within their cap: nothing is lost with them but the time of the next build. */
import { readDiskUsage, shrinkBuildCache, type DiskUsage } from '../docker/disk-usage.ts';
import { removeVolume } from '../docker/volumes.ts';
import { isForgeError } from '../errors.ts';
import { buildCacheLabel, labels } from '../labels.ts';
import { findApp } from '../store/apps.ts';
import { findDeployments } from '../store/deployments.ts';
import { withTimeout } from '../wait.ts';
import type { RetentionParts } from './parts.ts';

const usageTimeoutMs = 60_000;
const shrinkTimeoutMs = 5 * 60_000;

export interface CacheVolume {
  readonly name: string;
  readonly app: string;
  readonly bytes: number;
  /** When the app was built last; '' for an app that is gone. */
  readonly usedAt: string;
}

/** Pure: the caches that go, so that the rest stays within the cap. Those of apps that are gone go in any case. */
export function chooseCaches(volumes: readonly CacheVolume[], capBytes: number): readonly CacheVolume[] {
  let bytes = volumes.reduce((sum, volume) => sum + volume.bytes, 0);
  return volumes
    .toSorted((a, b) => a.usedAt.localeCompare(b.usedAt))
    .filter((volume) => {
      const isToGo = volume.usedAt === '' || (capBytes > 0 && bytes > capBytes);
      if (isToGo) bytes -= volume.bytes;
      return isToGo;
    });
}

/** The caches of buildpack builds, as the engine measured them. */
export function cacheVolumes(usage: DiskUsage, { store, dataId }: Pick<RetentionParts, 'store' | 'dataId'>): readonly CacheVolume[] {
  return [...usage.volumes].flatMap(([name, { bytes, labels: own }]) => {
    const app = own[buildCacheLabel];
    if (app === undefined || own[labels.data] !== dataId) return [];
    const found = findApp(store, app);
    return [{ name, app, bytes, usedAt: found ? (findDeployments(store, { app, limit: 1 })[0]?.createdAt ?? found.createdAt) : '' }];
  });
}

/** Resolves to the bytes that were freed. */
export async function collectCaches(parts: RetentionParts, signal: AbortSignal): Promise<number> {
  const { docker, config, queue } = parts;
  const usage = await withTimeout(usageTimeoutMs, 'the Docker Engine did not measure its volumes in time', (limited) => readDiskUsage(docker, limited), signal);
  let freed = 0;
  for (const { name, app, bytes } of chooseCaches(cacheVolumes(usage, parts), config.buildCacheBytes)) {
    using turn = queue.takeIfFree(app, 'the removal of a build cache');
    if (turn && (await removeUnused(name, parts, signal))) freed += bytes;
  }
  if (config.buildCacheBytes === 0) return freed;
  return freed + (await withTimeout(shrinkTimeoutMs, 'the Docker Engine did not shrink its build cache in time', (limited) => shrinkBuildCache(docker, config.buildCacheBytes, limited), signal));
}

async function removeUnused(name: string, { docker }: RetentionParts, signal: AbortSignal): Promise<boolean> {
  try {
    await withTimeout(usageTimeoutMs, `the volume ${name} was not removed in time`, async () => await removeVolume(docker, name), signal);
    return true;
  } catch (error) {
    // A build still fills it.
    if (isForgeError(error) && error.code === 'conflict') return false;
    throw error;
  }
}
