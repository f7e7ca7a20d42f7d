/** Volumes in the engine: mounted into instances, filled once, read and written as tar streams. Paths of the host play no part. */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { openArchive, packEntries, putArchive, readContainerFile } from '../docker/archive.ts';
import type { Docker } from '../docker/connect.ts';
import { createContainer, removeContainer } from '../docker/containers.ts';
import { ensureEmptyImage } from '../docker/empty-image.ts';
import { createVolume, mountVolume, removeVolume } from '../docker/volumes.ts';
import type { Image, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { blankLabels, labels } from '../labels.ts';
import { withTimeout } from '../wait.ts';
import { userOf } from './image-user.ts';

/** Which volumes apps have; the database answers. */
export interface VolumeBook {
  /** What the engine calls it, and whether it got its first files. Throws `not-found`. */
  find(app: string, volume: string): { readonly engineName: string; readonly isFilled: boolean };
  setFilled(engineName: string): void;
}

/** A volume in a container, as the engine knows it. */
export interface ResolvedMount {
  readonly engineName: string;
  /** Absolute path in the container. */
  readonly path: string;
}

export interface VolumeParts {
  readonly docker: Docker;
  readonly dataId: string;
  readonly volumes: VolumeBook;
}

/** Where the volume is in the containers that forge reads and writes it through; they never run. At the top: the engine refuses symlinks that lead out of where it unpacks. */
const folder = '/';
const root = 'volume';
const engineTimeoutMs = 60_000;

/** Volumes are found by their label, never by the app's: an app may be renamed. */
export const volumeLabels = (dataId: string): Record<string, string> => ({ [labels.data]: dataId, [labels.role]: 'volume' });

/**
 * What the release mounts, ready to be mounted: a volume that is mounted for the first time gets the files that the image
 * has at that path, and belongs to the image's user. Throws `not-found` for one that was removed.
 */
export async function prepareMounts(release: Release, parts: VolumeParts, signal: AbortSignal): Promise<readonly ResolvedMount[]> {
  const { app, image, settings } = release;
  const resolved: ResolvedMount[] = [];
  for (const { volume, path } of settings.mounts) {
    const { engineName, isFilled } = parts.volumes.find(app, volume);
    const mount = { engineName, path };
    if (!isFilled) await fillFromImage(image, mount, parts, signal);
    resolved.push(mount);
  }
  return resolved;
}

export async function createEngineVolume(engineName: string, { docker, dataId }: Pick<VolumeParts, 'docker' | 'dataId'>): Promise<void> {
  await withTimeout(engineTimeoutMs, 'the Docker Engine did not make the volume in time', () => createVolume(docker, engineName, volumeLabels(dataId)));
}

/** Throws `conflict` while a container has it mounted. */
export async function removeEngineVolume(engineName: string, { docker }: Pick<VolumeParts, 'docker'>): Promise<void> {
  await withTimeout(engineTimeoutMs, 'the Docker Engine did not remove the volume in time', () => removeVolume(docker, engineName));
}

/** The volume as a tar whose entries begin with `./`, read while `use` runs. */
export async function readVolume(engineName: string, { parts, signal, use }: { readonly parts: VolumeParts; readonly signal: AbortSignal; use(tar: Readable): Promise<void> }): Promise<void> {
  await inContainer(engineName, parts, async (containerId) => {
    const tar = await openArchive(parts.docker, { containerId, path: `${folder}${root}/.`, signal });
    if (!tar) throw new ForgeError('not-found', `the Docker Engine has no volume ${engineName}`);
    try {
      await use(tar);
    } finally {
      tar.destroy();
    }
  });
}

/** Unpacks a tar whose entries all lie below `volume/`: whoever writes it has checked them. */
export async function writeVolume(engineName: string, { parts, archive, signal }: { readonly parts: VolumeParts; readonly archive: Readable; readonly signal: AbortSignal }): Promise<void> {
  await inContainer(engineName, parts, async (containerId) => await putArchive(parts.docker, { containerId, path: folder, archive, signal }));
  parts.volumes.setFilled(engineName);
}

/** Nothing of the app runs: the engine copies when the container is created, and an archive with one folder sets the owner. */
async function fillFromImage(image: Image, { engineName, path }: ResolvedMount, parts: VolumeParts, signal: AbortSignal): Promise<void> {
  const { docker, dataId } = parts;
  const mounts = [mountVolume({ volume: engineName, path, labels: volumeLabels(dataId), isFilledByImage: true })];
  await inCreated({ image: image.reference, mounts }, parts, async (containerId) => {
    const read = async (file: string): Promise<string> => (await readContainerFile(docker, { containerId, path: file, signal }))?.toString('utf8') ?? '';
    const owner = await userOf(image.user, read);
    // Images that run as root give the folder to whom they like; what the engine copied is right for them.
    if (owner.uid === 0) return;
    const at = path.lastIndexOf('/');
    const archive = packEntries([{ path: `${path.slice(at + 1)}/`, mode: 0o755, ...owner }]);
    await putArchive(docker, { containerId, path: path.slice(0, at) || '/', archive, signal });
  });
  parts.volumes.setFilled(engineName);
}

async function inContainer(engineName: string, parts: VolumeParts, task: (containerId: string) => Promise<void>): Promise<void> {
  const image = await ensureEmptyImage(parts.docker);
  const mounts = [mountVolume({ volume: engineName, path: `${folder}${root}`, labels: volumeLabels(parts.dataId) })];
  await inCreated({ image, mounts }, parts, task);
}

/** A container that is never started: the engine opens its files all the same. */
async function inCreated(
  { image, mounts }: { readonly image: string; readonly mounts: ReturnType<typeof mountVolume>[] },
  { docker, dataId }: VolumeParts,
  task: (containerId: string) => Promise<void>,
): Promise<void> {
  const name = `forge-volume-${randomBytes(6).toString('hex')}`;
  try {
    const containerId = await createContainer(docker, {
      name,
      Image: image,
      Entrypoint: ['/nothing'],
      Cmd: [],
      Labels: { ...blankLabels, ...volumeLabels(dataId) },
      HostConfig: { NetworkMode: 'none', CapDrop: ['ALL'], Mounts: [...mounts] },
    });
    await task(containerId);
  } finally {
    await withTimeout(engineTimeoutMs, 'the Docker Engine did not remove the container in time', () => removeContainer(docker, name)).catch(() => undefined);
  }
}
