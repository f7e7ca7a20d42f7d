/** Volumes of the engine as tars, out and in again, through containers that are never started. */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { openArchive, putArchive } from '../docker/archive.ts';
import type { Docker } from '../docker/connect.ts';
import { createContainer, removeContainer } from '../docker/containers.ts';
import { ensureEmptyImage } from '../docker/empty-image.ts';
import { createVolume, findVolumes, mountVolume, removeVolume } from '../docker/volumes.ts';
import { ForgeError } from '../errors.ts';
import { volumeLabels } from '../runtime/volumes.ts';
import type { VolumeRestore } from './restore-engine.ts';

const folder = 'volume';

export interface VolumeFiles extends VolumeRestore {
  /** The volume as a tar, read while `use` runs: files as they are while apps go on writing. Throws `not-found`. */
  readVolume(engineName: string, options: { readonly signal: AbortSignal; use(tar: Readable): Promise<void> }): Promise<void>;
}

export function createVolumeFiles(docker: Docker, dataId: string): VolumeFiles {
  const labels = volumeLabels(dataId);
  const inContainer = async (engineName: string, task: (containerId: string) => Promise<void>): Promise<void> => {
    const image = await ensureEmptyImage(docker);
    const name = `forge-volume-${randomBytes(6).toString('hex')}`;
    const mount = mountVolume({ volume: engineName, path: `/${folder}`, labels });
    try {
      await task(await createContainer(docker, { name, Image: image, Entrypoint: ['/nothing'], Cmd: [], Labels: labels, HostConfig: { NetworkMode: 'none', CapDrop: ['ALL'], Mounts: [mount] } }));
    } finally {
      await removeContainer(docker, name).catch(() => undefined);
    }
  };
  const findNames = async (): Promise<readonly string[]> => await findVolumes(docker, labels);
  return {
    findVolumes: findNames,
    readVolume: async (engineName, { signal, use }) => {
      // A container that mounts a volume that is gone would make it again, empty.
      if (!(await findNames()).includes(engineName)) throw new ForgeError('not-found', `the Docker Engine has no volume ${engineName}`);
      await inContainer(engineName, async (containerId) => {
        const tar = await openArchive(docker, { containerId, path: `/${folder}`, signal });
        if (!tar) throw new ForgeError('not-found', `the Docker Engine has no volume ${engineName}`);
        try {
          await use(tar);
        } finally {
          tar.destroy();
        }
      });
    },
    restoreVolume: async (engineName, tar, signal) => {
      await createVolume(docker, engineName, labels);
      await inContainer(engineName, async (containerId) => await putArchive(docker, { containerId, path: '/', archive: tar, signal }));
    },
    removeVolume: async (engineName) => await removeVolume(docker, engineName),
  };
}
