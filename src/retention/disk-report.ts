/** What weighs how much, what the limits are, and what the next collection would take. */
import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { deploymentLogPath } from '../deploy/attempt.ts';
import { readDiskUsage, type DiskUsage } from '../docker/disk-usage.ts';
import type { ImageLayer } from '../docker/image-layers.ts';
import { findApps } from '../store/apps.ts';
import { findDeployments } from '../store/deployments.ts';
import { findKeepReleases, findReleaseImages } from '../store/release-images.ts';
import { findVolumes } from '../store/volumes.ts';
import { withTimeout } from '../wait.ts';
import { weighLayers } from './choose-images.ts';
import { cacheVolumes, chooseCaches } from './collect-caches.ts';
import { findImages } from './collect-images.ts';
import { findOverCap, readLayers } from './find-over-cap.ts';
import { ownerOf, planImages, type DoomedImage } from './image-plan.ts';
import type { LayersOf, RetentionParts } from './parts.ts';
import { weighFolder } from './weigh-folder.ts';

export interface DiskOfApp {
  readonly app: string;
  /** Images of its releases that the engine has. `bytes`: each layer once; `ownBytes`: layers that no other image of the engine has. */
  readonly images: { readonly count: number; readonly keep: number; readonly bytes: number; readonly ownBytes: number } | undefined;
  /** `undefined` where the engine did not measure in time. */
  readonly volumeBytes: number | undefined;
  readonly buildCacheBytes: number | undefined;
  readonly repositoryBytes: number | undefined;
  readonly logBytes: number | undefined;
}

export interface DiskReport {
  readonly disks: readonly { readonly directory: string; readonly freeBytes: number; readonly totalBytes: number }[];
  readonly apps: readonly DiskOfApp[];
  /** All images of apps together, each layer once. */
  readonly imageBytes: number | undefined;
  /** Of the engine, for all who build with it. */
  readonly engineBuildCacheBytes: number | undefined;
  readonly registryBytes: number | undefined;
  readonly limits: { readonly minFreeBytes: number; readonly keepReleases: number; readonly keepImageBytes: number; readonly keepDeployments: number; readonly keepLogBytes: number; readonly buildCacheBytes: number };
  /** What a collection would take now. */
  readonly next: Next;
}

export interface Next {
  readonly images: readonly (DoomedImage & { readonly bytes: number })[];
  readonly buildCaches: readonly { readonly app: string; readonly bytes: number }[];
}

/** For each kind of question to the engine and to the disk: a figure that is missing is better than none at all. */
const partTimeoutMs = 8_000;

export interface ReportRequest {
  /** Only this app. */
  readonly app: string | undefined;
  readonly layersOf: LayersOf;
  readonly signal: AbortSignal;
}

/** Changes nothing. A figure that could not be had in time is left out. */
export async function reportDisk(request: ReportRequest, parts: RetentionParts): Promise<DiskReport> {
  const { config } = parts;
  const measured = async <T>(task: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> => await inTime(task, request.signal);
  const [usage, images, disks] = await Promise.all([
    measured(async (signal) => await readDiskUsage(parts.docker, signal)),
    measured(async (signal) => await weighImages({ ...request, signal }, parts)),
    findDisks(parts.diskDirectories),
  ]);
  const names = request.app === undefined ? findApps(parts.store).map(({ name }) => name) : [request.app];
  const folders = await measured(async (signal) => await Promise.all(names.map(async (app) => await weighFolders(app, parts, signal))));
  const { minFreeBytes, keepReleases, keepImageBytes, keepDeployments, keepLogBytes, buildCacheBytes } = config;
  return {
    disks,
    apps: names.map((app, index) => ({ app, images: images?.byApp.get(app), ...volumesOf(app, usage, parts), repositoryBytes: folders?.[index]?.repositoryBytes, logBytes: folders?.[index]?.logBytes })),
    imageBytes: images?.bytes,
    engineBuildCacheBytes: usage?.buildCacheBytes,
    registryBytes: usage && sum([...usage.volumes].filter(([name]) => name.startsWith(`forge-registry-${parts.dataId.slice(0, 12)}`)).map(([, { bytes }]) => bytes)),
    limits: { minFreeBytes, keepReleases, keepImageBytes, keepDeployments, keepLogBytes, buildCacheBytes },
    next: {
      images: images?.next ?? [],
      buildCaches: usage ? chooseCaches(cacheVolumes(usage, parts), buildCacheBytes).filter(({ app }) => request.app === undefined || app === request.app).map(({ app, bytes }) => ({ app, bytes })) : [],
    },
  };
}

async function inTime<T>(task: (signal: AbortSignal) => Promise<T>, parent: AbortSignal): Promise<T | undefined> {
  try {
    return await withTimeout(partTimeoutMs, 'not measured in time', task, parent);
  } catch (error) {
    if (parent.aborted) throw error;
    return undefined;
  }
}

async function weighImages({ app: only, layersOf, signal }: ReportRequest, parts: RetentionParts) {
  const { store, dataId, config } = parts;
  const images = await findImages(parts, signal);
  const weighed = await Promise.all(images.map(async (image) => ({ ...image, layers: (await readLayers(layersOf, image.id, signal)) ?? [] })));
  const holders = countHolders(weighed);
  const isOwn = ({ names, id }: (typeof weighed)[number], references: ReadonlySet<string>): boolean => [id, ...names].some((name) => references.has(name));
  const overCap = await findOverCap(layersOf, parts, signal);
  const apps = findApps(store).map(({ name }) => name);
  const ofApp = new Map(apps.map((app) => {
    const references = new Set(findReleaseImages(store, app).map(({ reference }) => reference));
    return [app, weighed.filter((image) => isOwn(image, references))] as const;
  }));
  const gone = weighed.map((image) => ownerOf(image, dataId)).filter((name) => name !== undefined);
  const next = [...new Set([...apps, ...gone])].flatMap((app) =>
    // A build that is under way has an image before it has a release.
    planImages({ app, images, overCap: overCap.get(app) ?? new Set(), isAbandoned: () => findDeployments(store, { app, statuses: ['building', 'releasing', 'starting'], limit: 1 }).length === 0 }, { store, dataId, keepReleases: config.keepReleases }).doomed,
  );
  return {
    bytes: weighLayers([...ofApp.values()].flat()),
    byApp: new Map([...ofApp].map(([app, own]) => [app, { count: own.length, keep: findKeepReleases(store, app) ?? config.keepReleases, bytes: weighLayers(own), ownBytes: weighLayers(own.map(({ layers }) => ({ layers: ownLayers(layers, own, holders) }))) }])),
    next: next.filter(({ app }) => only === undefined || app === only).map((doomed) => ({ ...doomed, bytes: weighLayers([{ layers: (weighed.find(({ id }) => id === doomed.id)?.layers ?? []).filter(({ key }) => holders.get(key) === 1) }]) })),
  };
}

function countHolders(images: readonly { readonly layers: readonly ImageLayer[] }[]): ReadonlyMap<string, number> {
  const holders = new Map<string, number>();
  for (const { key } of images.flatMap(({ layers }) => layers)) holders.set(key, (holders.get(key) ?? 0) + 1);
  return holders;
}

/** Those that only these images have. */
function ownLayers(layers: readonly ImageLayer[], own: readonly { readonly layers: readonly ImageLayer[] }[], holders: ReadonlyMap<string, number>): readonly ImageLayer[] {
  const within = countHolders(own);
  return layers.filter(({ key }) => within.get(key) === holders.get(key));
}

function volumesOf(app: string, usage: DiskUsage | undefined, parts: RetentionParts): Pick<DiskOfApp, 'volumeBytes' | 'buildCacheBytes'> {
  if (!usage) return { volumeBytes: undefined, buildCacheBytes: undefined };
  return {
    volumeBytes: sum(findVolumes(parts.store, app).map(({ engineName }) => usage.volumes.get(engineName)?.bytes ?? 0)),
    buildCacheBytes: sum(cacheVolumes(usage, parts).filter((volume) => volume.app === app).map(({ bytes }) => bytes)),
  };
}

async function weighFolders(app: string, { config: { data }, store }: RetentionParts, signal: AbortSignal): Promise<Pick<DiskOfApp, 'repositoryBytes' | 'logBytes'>> {
  const deployments = findDeployments(store, { app, limit: Infinity });
  const [repositoryBytes, instances, ...logs] = await Promise.all([join(data, 'repos', `${app}.git`), join(data, 'logs', app), ...deployments.map(({ id }) => deploymentLogPath(data, id))].map(async (path) => await weighFolder(path, signal)));
  return { repositoryBytes, logBytes: sum([instances ?? 0, ...logs]) };
}

/** Each disk once, by the first directory on it; one that may not be seen is left out. */
async function findDisks(directories: readonly string[]): Promise<DiskReport['disks']> {
  const disks = new Map<number, DiskReport['disks'][number]>();
  for (const directory of directories) {
    const [place, stats] = await Promise.all([stat(directory).catch(() => undefined), statfs(directory).catch(() => undefined)]);
    if (!place || !stats || disks.has(place.dev)) continue;
    disks.set(place.dev, { directory, freeBytes: stats.bavail * stats.bsize, totalBytes: stats.blocks * stats.bsize });
  }
  return [...disks.values()];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
