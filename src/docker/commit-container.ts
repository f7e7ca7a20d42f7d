/**
 * A container's changes as an image that runs as the image it was made from. The engine's own commit would write down the
 * container's environment, which holds secrets: older engines keep it as `container_config` whatever is asked for, so
 * there the configuration is replaced by a clean one. The layers stay where they are.
 */
import { createHash } from 'node:crypto';
import type { ImageInspectInfo } from 'dockerode';
import { withTimeout } from '../wait.ts';
import { packEntries } from './archive.ts';
import { boundedCall } from './bounded-call.ts';
import type { Docker } from './connect.ts';
import { removeImage } from './images.ts';
import { splitReference } from './local-image.ts';
import { loadImages } from './saved-images.ts';

export interface CommitOptions {
  /** An ended container. */
  readonly containerId: string;
  /** The image that it was made from: its entrypoint, command, user and environment are the new one's. */
  readonly base: string;
  /** `name:tag` of the result. */
  readonly reference: string;
  /** Beside the labels of the base. */
  readonly labels: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const removalTimeoutMs = 30_000;
/** For a configuration without layers. */
const loadTimeoutMs = 60_000;
/** What the engine may take to store what the task wrote. */
const commitTimeoutMs = 10 * 60_000;

/** The id of the new image. */
export async function commitContainer(docker: Docker, options: CommitOptions): Promise<string> {
  const { containerId, base, reference, labels, signal } = options;
  const [repo, tag] = splitReference(reference);
  const baseInfo = await inspect(docker, base, signal);
  const container = docker.getContainer(containerId);
  const { Config } = await boundedCall('inspect the container', () => container.inspect(), { signal });
  const config = { ...baseInfo.Config, Labels: { ...baseInfo.Config.Labels, ...labels } };
  const body = { ...config, Env: withoutOthers(config.Env ?? [], Config.Env) };
  const query = { container: containerId, repo, tag, pause: false };
  const commit = async (abortSignal: AbortSignal) => (await container.commit({ _query: query, _body: body, abortSignal } as object)) as { readonly Id: string };
  const { Id } = await boundedCall(`make ${reference}`, commit, { timeoutMs: commitTimeoutMs, signal });
  const committed = await inspect(docker, Id, signal);
  if (!('ContainerConfig' in committed) || (committed.ContainerConfig?.Env ?? []).length === 0) return Id;
  const clean = await loadConfig(docker, imageConfig(baseInfo, committed, config), { reference, signal });
  await withTimeout(removalTimeoutMs, 'the Docker Engine did not remove an image in time', () => removeImage(docker, Id));
  return clean;
}

const inspect = (docker: Docker, reference: string, signal: AbortSignal): Promise<ImageInspectInfo> => boundedCall(`look at the image ${reference}`, () => docker.getImage(reference).inspect(), { signal });

/**
 * The engine adds each variable of the container that is not named. A name without a value means to it that the variable
 * is not there.
 */
export function withoutOthers(wanted: readonly string[], found: readonly string[]): string[] {
  const nameOf = (line: string): string => line.split('=')[0] ?? '';
  const names = new Set(wanted.map(nameOf));
  return [...wanted, ...new Set(found.map(nameOf).filter((name) => !names.has(name)))];
}

/** As an image's configuration is stored, https://github.com/opencontainers/image-spec/blob/main/config.md. One step of history a layer, as the engine wants it. */
function imageConfig(base: ImageInspectInfo, committed: ImageInspectInfo, config: object): string {
  const layers = committed.RootFS.Layers ?? [];
  const created = committed.Created;
  const history = layers.map((_, index) => ({ created, created_by: index === layers.length - 1 ? 'changes of the predeploy task' : 'a layer of the built image' }));
  return JSON.stringify({ architecture: base.Architecture, os: base.Os, created, config, rootfs: { type: 'layers', diff_ids: layers }, history });
}

/** The layers are in the engine already: it reads none that it has. */
async function loadConfig(docker: Docker, config: string, { reference, signal }: { readonly reference: string; readonly signal: AbortSignal }): Promise<string> {
  const digest = createHash('sha256').update(config).digest('hex');
  const { rootfs } = JSON.parse(config) as { readonly rootfs: { readonly diff_ids: readonly string[] } };
  const manifest = [{ Config: `${digest}.json`, RepoTags: [reference], Layers: rootfs.diff_ids.map((_, index) => `${index}/layer.tar`) }];
  const archive = packEntries([{ path: `${digest}.json`, content: config }, { path: 'manifest.json', content: JSON.stringify(manifest) }]);
  await withTimeout(loadTimeoutMs, `the Docker Engine did not make ${reference} within ${loadTimeoutMs / 1000} s`, async (within) => await loadImages(docker, archive, within), signal);
  return `sha256:${digest}`;
}
