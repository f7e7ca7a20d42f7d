/** Which images of releases go. Pure: releases and sizes in, decisions out. */
import type { ImageLayer } from '../docker/image-layers.ts';
import type { ReleaseImage } from '../store/release-images.ts';

export interface ImageChoice {
  /** References that are kept, the one that served last first. */
  readonly kept: readonly string[];
  /** References to give up. */
  readonly giveUp: readonly string[];
  /** References that were given up and made again since. */
  readonly keepAgain: readonly string[];
}

/**
 * Of one app's releases, newest first. Releases are counted by image, since a config change makes a release without making
 * an image: kept are the `keep` images that served last, the one that serves now among them. What never served is not kept.
 */
export function chooseImages(releases: readonly ReleaseImage[], keep: number): ImageChoice {
  const isThere = ({ collectedAt }: ReleaseImage): boolean => collectedAt === undefined;
  const served = unique(releases.filter((release) => release.isCurrent || (release.hasBeenLive && isThere(release))));
  const current = unique(releases.filter(({ isCurrent }) => isCurrent));
  const kept = [...new Set([...served.slice(0, keep), ...current])];
  return {
    kept,
    giveUp: unique(releases.filter(isThere)).filter((reference) => !kept.includes(reference)),
    keepAgain: unique(releases.filter((release) => !isThere(release))).filter((reference) => kept.includes(reference)),
  };
}

export interface KeptImage {
  readonly app: string;
  readonly reference: string;
  /** It serves now: it never goes. */
  readonly isCurrent: boolean;
  /** When a release with it was made last. */
  readonly usedAt: string;
  readonly layers: readonly ImageLayer[];
}

/** What has to go so that the rest weighs no more than the cap, each layer counted once: what was used longest ago first. */
export function chooseOverCap(images: readonly KeptImage[], capBytes: number): readonly KeptImage[] {
  const holders = new Map<string, number>();
  for (const { key } of images.flatMap(({ layers }) => layers)) holders.set(key, (holders.get(key) ?? 0) + 1);
  const chosen: KeptImage[] = [];
  let bytes = weighLayers(images);
  for (const image of images.filter(({ isCurrent }) => !isCurrent).toSorted((a, b) => a.usedAt.localeCompare(b.usedAt))) {
    if (bytes <= capBytes) break;
    chosen.push(image);
    for (const layer of image.layers) {
      const left = (holders.get(layer.key) ?? 0) - 1;
      holders.set(layer.key, left);
      if (left === 0) bytes -= layer.bytes;
    }
  }
  return chosen;
}

/** Bytes of all their layers, each counted once. */
export function weighLayers(images: readonly { readonly layers: readonly ImageLayer[] }[]): number {
  const layers = new Map(images.flatMap((image) => image.layers.map(({ key, bytes }) => [key, bytes] as const)));
  return [...layers.values()].reduce((sum, bytes) => sum + bytes, 0);
}

const unique = (releases: readonly ReleaseImage[]): string[] => [...new Set(releases.map(({ reference }) => reference))];
