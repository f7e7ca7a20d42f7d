/** Which kept images of all apps go because all of them together weigh more than the setting `keepImageBytes`. */
import { findApps } from '../store/apps.ts';
import { findKeepReleases, findReleaseImages } from '../store/release-images.ts';
import { isForgeError } from '../errors.ts';
import { withTimeout } from '../wait.ts';
import { chooseImages, chooseOverCap, type KeptImage } from './choose-images.ts';
import { findImages } from './collect-images.ts';
import type { LayersOf, RetentionParts } from './parts.ts';

const readTimeoutMs = 10_000;

/** References by app. */
export async function findOverCap(layersOf: LayersOf, parts: RetentionParts, signal: AbortSignal): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const kept = await findKeptImages(layersOf, parts, signal);
  const chosen = chooseOverCap(kept, parts.config.keepImageBytes);
  return new Map(Object.entries(Object.groupBy(chosen, ({ app }) => app)).map(([app, images = []]) => [app, new Set(images.map(({ reference }) => reference))]));
}

/** The images of one app or of all that are kept and that the engine has. */
export async function findKeptImages(layersOf: LayersOf, parts: RetentionParts, signal: AbortSignal): Promise<readonly KeptImage[]> {
  const { store, config } = parts;
  const idOf = new Map((await findImages(parts, signal)).flatMap(({ id, names }) => [id, ...names].map((name) => [name, id] as const)));
  const kept: KeptImage[] = [];
  for (const { name: app } of findApps(store)) {
    const releases = findReleaseImages(store, app);
    for (const reference of chooseImages(releases, findKeepReleases(store, app) ?? config.keepReleases).kept) {
      const id = idOf.get(reference);
      const own = releases.filter((release) => release.reference === reference);
      const layers = id === undefined ? undefined : await readLayers(layersOf, id, signal);
      if (layers) kept.push({ app, reference, layers, isCurrent: own.some(({ isCurrent }) => isCurrent), usedAt: own[0]?.createdAt ?? '' });
    }
  }
  return kept;
}

/** `undefined` for an image that went meanwhile. */
export async function readLayers(layersOf: LayersOf, id: string, signal: AbortSignal) {
  try {
    return await withTimeout(readTimeoutMs, 'the Docker Engine did not tell what an image weighs in time', async (limited) => await layersOf(id, limited), signal);
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}
