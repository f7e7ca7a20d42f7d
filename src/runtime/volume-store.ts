/** What may be done with a volume besides mounting it, and the removal of what an interrupted one left. */
import type { Readable } from 'node:stream';
import { listContainers, removeContainer } from '../docker/containers.ts';
import { findVolumes, removeVolume } from '../docker/volumes.ts';
import { labels } from '../labels.ts';
import { strayLabels, volumeLabels, type VolumeEngine } from './volume-container.ts';
import { createEngineVolume, readVolume, removeEngineVolume, writeVolume, type VolumeParts } from './volumes.ts';

/** By the engine's name of the volume. */
export interface VolumeStore {
  /** Id of this forge's data directory, which the names of volumes carry. */
  readonly dataId: string;
  /** One that is there already is left as it is. */
  create(engineName: string): Promise<void>;
  /** Throws `conflict` while a container has it mounted. */
  remove(engineName: string): Promise<void>;
  /** The volume as a tar whose entries begin with `./`, read while `use` runs. Throws `not-found`. */
  read(engineName: string, signal: AbortSignal, use: (tar: Readable) => Promise<void>): Promise<void>;
  /** Unpacks a tar whose entries all lie below `volume/`: whoever writes it has checked them. */
  write(engineName: string, archive: Readable, signal: AbortSignal): Promise<void>;
}

export const createVolumeStore = (parts: VolumeParts): VolumeStore => ({
  dataId: parts.dataId,
  create: (engineName) => createEngineVolume(engineName, parts),
  remove: (engineName) => removeEngineVolume(engineName, parts),
  read: (engineName, signal, use) => readVolume(engineName, { parts, signal, use }),
  write: (engineName, archive, signal) => writeVolume(engineName, { parts, archive, signal }),
});

/**
 * The containers through which a forge that was killed read or wrote volumes, and volumes that the engine made for them; this
 * start's stay. Without a start: only while nobody reads or writes volumes.
 */
export async function sweepVolumeContainers({ docker, dataId, startId }: VolumeEngine): Promise<void> {
  const filter = Object.entries(volumeLabels(dataId)).map(([key, value]) => `${key}=${value}`);
  const containers = await listContainers(docker, filter);
  const abandoned = containers.filter(({ Labels }) => startId === undefined || Labels[labels.start] !== startId);
  await Promise.all(abandoned.map(({ Id }) => removeContainer(docker, Id)));
  for (const name of await findVolumes(docker, strayLabels(dataId))) await removeVolume(docker, name);
}
