/** Volumes in the engine: mounted into instances, filled once, read and written as tar streams. Paths of the host play no part. */
import type { Readable } from 'node:stream';
import { packEntries, putArchive, readContainerFile } from '../docker/archive.ts';
import { createVolume, mountVolume, removeVolume } from '../docker/volumes.ts';
import type { Image, Release } from '../domain.ts';
import { withTimeout } from '../wait.ts';
import { userOf } from './image-user.ts';
import { inCreatedContainer, readVolumeFiles, volumeLabels, writeVolumeFiles, type VolumeEngine } from './volume-container.ts';

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

export interface VolumeParts extends VolumeEngine {
  readonly volumes: VolumeBook;
}

const engineTimeoutMs = 60_000;

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

export async function createEngineVolume(engineName: string, { docker, dataId }: VolumeEngine): Promise<void> {
  await withTimeout(engineTimeoutMs, 'the Docker Engine did not make the volume in time', () => createVolume(docker, engineName, volumeLabels(dataId)));
}

/** Throws `conflict` while a container has it mounted. */
export async function removeEngineVolume(engineName: string, { docker }: Pick<VolumeParts, 'docker'>): Promise<void> {
  await withTimeout(engineTimeoutMs, 'the Docker Engine did not remove the volume in time', () => removeVolume(docker, engineName));
}

/** The volume as a tar whose entries begin with `./`, read while `use` runs. Throws `not-found` for one that the engine does not have. */
export async function readVolume(engineName: string, { parts, signal, use }: { readonly parts: VolumeParts; readonly signal: AbortSignal; use(tar: Readable): Promise<void> }): Promise<void> {
  await readVolumeFiles(engineName, parts, { entries: './', signal, use });
}

/** Unpacks a tar whose entries all lie below `volume/`: whoever writes it has checked them. */
export async function writeVolume(engineName: string, { parts, archive, signal }: { readonly parts: VolumeParts; readonly archive: Readable; readonly signal: AbortSignal }): Promise<void> {
  await writeVolumeFiles(engineName, parts, { archive, signal });
  parts.volumes.setFilled(engineName);
}

/** Nothing of the app runs: the engine copies when the container is created, and an archive with one folder sets the owner. */
async function fillFromImage(image: Image, { engineName, path }: ResolvedMount, parts: VolumeParts, signal: AbortSignal): Promise<void> {
  const { docker, dataId } = parts;
  const mounts = [mountVolume({ volume: engineName, path, labels: volumeLabels(dataId), isFilledByImage: true })];
  await inCreatedContainer({ image: image.reference, mounts }, parts, async (containerId) => {
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
