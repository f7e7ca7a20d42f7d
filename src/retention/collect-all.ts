/** One run over everything: images, records, caches. What fails is told and does not stop the rest. */
import type { ListedImage } from '../docker/image-layers.ts';
import { isForgeError } from '../errors.ts';
import { findApps } from '../store/apps.ts';
import { collectCaches } from './collect-caches.ts';
import { collectImages, findImages } from './collect-images.ts';
import { collectAudit, collectRecords, collectStrays } from './collect-records.ts';
import { findOverCap } from './find-over-cap.ts';
import { ownerOf, type DoomedImage } from './image-plan.ts';
import type { LayersOf, RetentionParts } from './parts.ts';

export interface Collected {
  readonly images: readonly DoomedImage[];
  readonly deployments: number;
  readonly releases: number;
  readonly logBytes: number;
  readonly cacheBytes: number;
  /** Apps that something was being done to: the next run looks again. */
  readonly busy: readonly string[];
  /** What could not be done, in words. */
  readonly problems: readonly string[];
}

export interface CollectRequest {
  readonly signal: AbortSignal;
  /** The app whose turn the caller has. */
  readonly heldTurn?: string;
  /** Somebody asked for it: images of builds that never became a release go at once. */
  readonly isAsked?: boolean;
}

export interface CollectAll extends CollectRequest {
  readonly layersOf: LayersOf;
  isAbandoned(image: ListedImage): boolean;
}

export async function collectAll(request: CollectAll, parts: RetentionParts): Promise<Collected> {
  const { signal, heldTurn } = request;
  const problems: string[] = [];
  const attempt = async <T>(task: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return signal.aborted ? otherwise : await task();
    } catch (error) {
      if (signal.aborted) return otherwise;
      parts.log.warn({ err: error }, 'a part of what is on the disk could not be collected');
      problems.push(isForgeError(error) ? error.message : 'internal error: see forge’s own log');
      return otherwise;
    }
  };
  const images: DoomedImage[] = [];
  const busy: string[] = [];
  let sums = { deployments: 0, releases: 0, logBytes: 0 };
  const overCap = await attempt(async () => await findOverCap(request.layersOf, parts, signal), new Map<string, ReadonlySet<string>>());
  for (const app of await attempt(async () => await appsWithThings(parts, signal), findApps(parts.store).map(({ name }) => name))) {
    const own = { overCap: overCap.get(app) ?? new Set<string>(), isAbandoned: request.isAbandoned, heldTurn, signal };
    const { removed, isBusy } = await attempt(async () => await collectImages(app, own, parts), { removed: [], isBusy: false });
    images.push(...removed);
    if (isBusy) busy.push(app);
    const records = await attempt(async () => await collectRecords(app, parts), { deployments: 0, releases: 0, logBytes: 0 });
    sums = { deployments: sums.deployments + records.deployments, releases: sums.releases + records.releases, logBytes: sums.logBytes + records.logBytes };
  }
  await attempt(async () => collectAudit(parts), 0);
  await attempt(async () => await collectStrays(parts), undefined);
  const cacheBytes = await attempt(async () => await collectCaches(parts, signal), 0);
  if (request.isAsked === true) await attempt(async () => await tidy(parts, signal), undefined);
  return { images, ...sums, cacheBytes, busy, problems };
}

/** Apps, and names of apps that are gone but whose images are not. */
async function appsWithThings(parts: RetentionParts, signal: AbortSignal): Promise<readonly string[]> {
  const images = await findImages(parts, signal);
  const names = images.map((image) => ownerOf(image, parts.dataId)).filter((name) => name !== undefined);
  return [...new Set([...findApps(parts.store).map(({ name }) => name), ...names])];
}

/** What builds left, and what the image registry need not hold. */
export async function tidy({ store, tidyBuilds }: RetentionParts, signal: AbortSignal): Promise<void> {
  const apps = new Set(findApps(store).map(({ name }) => name));
  await tidyBuilds(signal, (name) => apps.has(name));
}
