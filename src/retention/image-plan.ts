/** What of an app's images is to go, as a value: shown by a dry run, carried out by a collection. */
import type { ListedImage } from '../docker/image-layers.ts';
import { keptRepository, labels } from '../labels.ts';
import { findKeepReleases, findReleaseImages, findReleasesOfImage, type ReleaseImage } from '../store/release-images.ts';
import type { Store } from '../store/store.ts';
import { chooseImages, type ImageChoice } from './choose-images.ts';

export interface DoomedImage {
  readonly id: string;
  readonly app: string;
  /** The app's releases that have it; none: a build that never became a release. */
  readonly versions: readonly number[];
  /** Names that forge gave it. With another name, which somebody else gave it, the image stays. */
  readonly names: readonly string[];
}

export interface ImagePlan extends ImageChoice {
  readonly doomed: readonly DoomedImage[];
}

export interface PlanRequest {
  readonly app: string;
  /** Every image that the engine has. */
  readonly images: readonly ListedImage[];
  /** References that go besides, because all kept images together weigh too much. */
  readonly overCap: ReadonlySet<string>;
  /** Whether an image that no release has is old enough to be no build's that is about to become one. */
  isAbandoned(image: ListedImage): boolean;
}

/** Changes nothing. For an app that is gone it finds what was left of it. */
export function planImages(request: PlanRequest, parts: { readonly store: Store; readonly dataId: string; readonly keepReleases: number }): ImagePlan {
  const { app, images, overCap } = request;
  const { store } = parts;
  const releases = findReleaseImages(store, app);
  const choice = chooseImages(releases, findKeepReleases(store, app) ?? parts.keepReleases);
  const current = new Set(releases.filter(({ isCurrent }) => isCurrent).map(({ reference }) => reference));
  const isOver = (reference: string): boolean => overCap.has(reference) && !current.has(reference);
  const giveUp = [...choice.giveUp, ...choice.kept.filter(isOver)];
  const isGivenUp = (release: ReleaseImage): boolean => release.collectedAt !== undefined || (release.app === app && giveUp.includes(release.reference));
  const own = new Set(releases.map(({ reference }) => reference));
  const doomed = images.flatMap((image) => {
    const isOwn = [image.id, ...image.names].some((reference) => own.has(reference));
    if (!isOwn && (ownerOf(image, parts.dataId) !== app || !request.isAbandoned(image))) return [];
    // Another app may have come from this one, or this one from it: the last that gives the image up removes it.
    const holders = [image.id, ...image.names].flatMap((reference) => findReleasesOfImage(store, reference));
    if (!holders.every((release) => isGivenUp(release) && !release.isCurrent)) return [];
    return [{ id: image.id, app, versions: holders.filter((release) => release.app === app).map(({ version }) => version), names: ownNames(image, holders, parts.dataId) }];
  });
  return { ...choice, kept: choice.kept.filter((reference) => !isOver(reference)), giveUp, doomed: doomed.filter(({ names }) => names.length > 0) };
}

/** The app that this forge built the image for, or took it in for from another machine, whose labels it has. */
export function ownerOf(image: ListedImage, dataId: string): string | undefined {
  const prefix = keptRepository({ dataId, app: '' });
  const kept = image.names.find((name) => name.startsWith(prefix));
  return labelled(image, dataId) ?? kept?.slice(prefix.length).split(':')[0];
}

const labelled = (image: ListedImage, dataId: string): string | undefined => (image.labels[labels.data] === dataId ? image.labels[labels.app] : undefined);

/** As `imageTag` writes them. */
const ownTag = /^forge\/[a-z0-9-]+:/;

/** Only these are ever removed. An image without any name goes by its id when forge's label says that it is its own. */
function ownNames(image: ListedImage, holders: readonly ReleaseImage[], dataId: string): readonly string[] {
  const isOurs = labelled(image, dataId) !== undefined;
  if (image.names.length === 0) return isOurs ? [image.id] : [];
  const isOwn = (name: string): boolean =>
    (isOurs && ownTag.test(name)) || name.startsWith(keptRepository({ dataId, app: '' })) || holders.some(({ reference, builder }) => builder === 'cnb' && reference === name);
  return image.names.filter(isOwn);
}
