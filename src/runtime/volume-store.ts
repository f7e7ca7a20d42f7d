/** What may be done with a volume besides mounting it, and the removal of what an interrupted one left. */
import type { Readable } from 'node:stream';
import type { Docker } from '../docker/connect.ts';
import { listContainers, removeContainer } from '../docker/containers.ts';
import { createEngineVolume, readVolume, removeEngineVolume, volumeLabels, writeVolume, type VolumeParts } from './volumes.ts';

/** By the engine's name of the volume. */
export interface VolumeStore {
  /** Id of this forge's data directory, which the names of volumes carry. */
  readonly dataId: string;
  /** One that is there already is left as it is. */
  create(engineName: string): Promise<void>;
  /** Throws `conflict` while a container has it mounted. */
  remove(engineName: string): Promise<void>;
  /** The volume as a tar whose entries begin with `./`, read while `use` runs. */
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

/** At the start only: containers through which a forge that was killed read or wrote volumes. */
export async function sweepVolumeContainers({ docker, dataId }: { readonly docker: Docker; readonly dataId: string }): Promise<void> {
  const filter = Object.entries(volumeLabels(dataId)).map(([key, value]) => `${key}=${value}`);
  const containers = await listContainers(docker, filter);
  await Promise.all(containers.map(({ Id }) => removeContainer(docker, Id)));
}
