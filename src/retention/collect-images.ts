/** Gives up images of releases and removes them from the engine. Killed anywhere, the next run goes on. */
import { listImages, type ListedImage } from '../docker/image-layers.ts';
import { removeImage } from '../docker/images.ts';
import { findDeployments, unfinishedStatuses } from '../store/deployments.ts';
import { giveUpImage, keepImage } from '../store/release-images.ts';
import { withTimeout } from '../wait.ts';
import { planImages, type DoomedImage } from './image-plan.ts';
import type { RetentionParts } from './parts.ts';

const listTimeoutMs = 30_000;
const removeTimeoutMs = 120_000;

export interface CollectImages {
  readonly overCap: ReadonlySet<string>;
  isAbandoned(image: ListedImage): boolean;
  /** The app whose turn the caller has. */
  readonly heldTurn: string | undefined;
  readonly signal: AbortSignal;
}

export interface CollectedImages {
  readonly removed: readonly DoomedImage[];
  /** Somebody has the app's turn: the next run looks again. */
  readonly isBusy: boolean;
}

/**
 * One image a turn, so that a push that comes meanwhile waits for one removal at most. All of it happens in the app's turn:
 * nobody chooses, builds or starts an image that is being removed.
 */
export async function collectImages(app: string, request: CollectImages, parts: RetentionParts): Promise<CollectedImages> {
  const removed = new Map<string, DoomedImage>();
  for (;;) {
    if (request.signal.aborted) return { removed: [...removed.values()], isBusy: false };
    using turn = request.heldTurn === app ? undefined : parts.queue.takeIfFree(app, 'the removal of an old image');
    if (request.heldTurn !== app && (!turn || isUnsettled(app, parts))) return { removed: [...removed.values()], isBusy: true };
    const images = await findImages(parts, request.signal);
    const { giveUp, keepAgain, doomed } = planImages({ app, images, ...request }, { ...parts, keepReleases: parts.config.keepReleases });
    // Recorded first: from here on nothing starts from them, whatever becomes of the removal.
    for (const reference of keepAgain) keepImage(parts.store, app, reference);
    for (const reference of giveUp) giveUpImage(parts.store, app, reference);
    const next = doomed.find(({ id }) => !removed.has(id));
    if (!next) return { removed: reallyGone([...removed.values()], images), isBusy: false };
    removed.set(next.id, next);
    await remove(next, parts, request.signal);
  }
}

/** A forge that was killed left a change half made: until that is settled, what serves may be taken back. */
const isUnsettled = (app: string, { store }: RetentionParts): boolean => findDeployments(store, { app, statuses: unfinishedStatuses, limit: 1 }).length > 0;

export const findImages = async ({ docker }: Pick<RetentionParts, 'docker'>, signal: AbortSignal): Promise<readonly ListedImage[]> =>
  await withTimeout(listTimeoutMs, 'the Docker Engine did not list its images in time', (limited) => listImages(docker, limited), signal);

/** One that a container uses, or that somebody else gave a name, is still there. */
function reallyGone(removed: readonly DoomedImage[], images: readonly ListedImage[]): readonly DoomedImage[] {
  const left = new Set(images.map(({ id }) => id));
  return removed.filter(({ id }) => !left.has(id));
}

async function remove({ app, id, names }: DoomedImage, { docker, log }: RetentionParts, signal: AbortSignal): Promise<void> {
  const late = `the Docker Engine did not remove an image of ${app} in time`;
  try {
    for (const name of names) await withTimeout(removeTimeoutMs, late, (limited) => removeImage(docker, name, limited), signal);
  } catch (error) {
    if (signal.aborted) return;
    log.warn({ err: error, app, image: id }, 'an old image could not be removed; the next collection tries again');
  }
}
