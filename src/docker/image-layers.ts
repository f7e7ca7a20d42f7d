/** Which images the engine has, and what each of their layers weighs: a layer that several share is on the disk once. */
import { createHash } from 'node:crypto';
import { untilAborted } from '../wait.ts';
import { engineCall, type Docker } from './connect.ts';

export interface ListedImage {
  /** `sha256:…` */
  readonly id: string;
  /** Tags and digests: `name:tag`, `name@sha256:…`. */
  readonly names: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** One layer of an image. The same key in two images is the same layer. */
export interface ImageLayer {
  readonly key: string;
  readonly bytes: number;
}

interface HistoryEntry {
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
}

/** Every image but those that are only steps of another one. */
export async function listImages(docker: Docker, signal: AbortSignal): Promise<readonly ListedImage[]> {
  const images = await engineCall('list images', docker.listImages({ abortSignal: signal }), signal);
  return images.map(({ Id, RepoTags, RepoDigests, Labels }) => ({
    id: Id,
    names: [...(RepoTags ?? []), ...(RepoDigests ?? [])].filter((name) => !name.startsWith('<none>')),
    labels: Labels ?? {},
  }));
}

/** From the bottom up; layers without a byte are left out. Throws `not-found`. */
export async function readImageLayers(docker: Docker, id: string, signal: AbortSignal): Promise<readonly ImageLayer[]> {
  const image = docker.getImage(id);
  const [facts, history] = await Promise.all([
    untilAborted(engineCall(`look at the image ${id}`, image.inspect()), signal),
    untilAborted(engineCall(`look at the image ${id}`, image.history() as Promise<HistoryEntry[]>), signal),
  ]);
  return layersOf(history.toReversed(), facts.RootFS.Layers ?? []);
}

const noLayer = /^(\/bin\/sh -c #\(nop\) +)?(CMD|ENV|LABEL|ENTRYPOINT|EXPOSE|USER|STOPSIGNAL|ARG|ONBUILD|VOLUME|HEALTHCHECK|MAINTAINER|SHELL)\b/;

/**
 * Joins the sizes, which only the history has, with the layers' digests, which only the file system has. The history does
 * not say which entries without a byte are layers; where that stays open, the history itself tells layers apart.
 */
export function layersOf(history: readonly HistoryEntry[], digests: readonly string[]): readonly ImageLayer[] {
  const steps = history.filter(({ CreatedBy, Size }) => Size > 0 || !noLayer.test(CreatedBy));
  const isExact = steps.length === digests.length;
  const chain = createHash('sha256');
  return steps.flatMap((step, index) => {
    chain.update(JSON.stringify(isExact ? digests[index] : [step.Created, step.CreatedBy, step.Size]));
    return step.Size > 0 ? [{ key: chain.copy().digest('hex'), bytes: step.Size }] : [];
  });
}
