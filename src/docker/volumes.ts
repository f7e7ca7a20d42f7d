/** Named volumes. Sizes and drivers are the engine's own; labels say whose they are. */
import { isForgeError } from '../errors.ts';
import { boundedCall } from './bounded-call.ts';
import type { Docker, MountSettings } from './connect.ts';

export interface VolumeMount {
  readonly volume: string;
  /** Absolute path in the container. */
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isReadOnly?: boolean;
  /** Whether an empty volume gets what the image holds at that path, owners included. For a container that nobody else is created beside. */
  readonly isFilledByImage?: boolean;
}

/**
 * A mount for a container's HostConfig. The engine makes the volume if there is none, and copies what the image
 * holds at that path only where that is asked for: containers that are created at the same time would race for it.
 */
export const mountVolume = (mount: VolumeMount): MountSettings => ({
  Type: 'volume',
  Source: mount.volume,
  Target: mount.path,
  ReadOnly: mount.isReadOnly ?? false,
  VolumeOptions: { NoCopy: mount.isFilledByImage !== true, Labels: { ...mount.labels }, DriverConfig: { Name: 'local', Options: {} } },
});

/** Names of the volumes that carry all of these labels; '' as a value stands for any. */
export async function findVolumes(docker: Docker, labels: Readonly<Record<string, string>>): Promise<string[]> {
  const label = Object.entries(labels).map(([key, value]) => (value === '' ? key : `${key}=${value}`));
  const { Volumes } = await boundedCall('list volumes', (abortSignal) => docker.listVolumes({ filters: { label }, abortSignal }));
  return (Volumes ?? []).map((volume) => volume.Name);
}

/** Makes an empty volume; one of that name that is there already is left as it is. */
export async function createVolume(docker: Docker, name: string, labels: Readonly<Record<string, string>>): Promise<void> {
  await boundedCall(`create volume ${name}`, (abortSignal) => docker.createVolume({ Name: name, Driver: 'local', Labels: { ...labels }, abortSignal }));
}

/** Its files go from the disk with it. */
const removalTimeoutMs = 300_000;

/** Removes a volume; one that is already gone is fine. Throws `conflict` while a container uses it. */
export async function removeVolume(docker: Docker, name: string): Promise<void> {
  try {
    await boundedCall(`remove volume ${name}`, (abortSignal) => docker.getVolume(name).remove({ abortSignal }), { timeoutMs: removalTimeoutMs });
  } catch (error) {
    if (!isForgeError(error) || error.code !== 'not-found') throw error;
  }
}
