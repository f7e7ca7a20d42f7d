/** Volumes of the engine as tars, out and in again. What a restore fills counts as unfinished until it says that all of it is there. */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Docker } from '../docker/connect.ts';
import { createVolume, findVolumes, removeVolume } from '../docker/volumes.ts';
import { labels, restoreLabel } from '../labels.ts';
import { readVolumeFiles, volumeLabels, writeVolumeFiles } from '../runtime/volume-container.ts';
import { sweepVolumeContainers } from '../runtime/volume-store.ts';
import type { VolumeRestore } from './restore-engine.ts';

export interface VolumeFiles extends VolumeRestore {
  /** The volume as a tar, read while `use` runs: files as they are while apps go on writing. Throws `not-found`. */
  readVolume(engineName: string, options: { readonly signal: AbortSignal; use(tar: Readable): Promise<void> }): Promise<void>;
}

const entries = 'volume/';

/**
 * A restore's mark is an empty volume of its own, whose name the volumes that it makes carry as a label: labels cannot be
 * changed, and what kills a restore leaves the mark. `startId` names the start of forge, where one runs.
 */
export function createVolumeFiles(docker: Docker, dataId: string, startId?: string): VolumeFiles {
  const engine = { docker, dataId, startId };
  const whole = volumeLabels(dataId);
  const marked = { [labels.data]: dataId, [labels.role]: 'unfinished-restore' };
  const removeAllOf = async (mark: string): Promise<void> => {
    for (const name of await findVolumes(docker, { ...whole, [restoreLabel]: mark })) await removeVolume(docker, name);
    // Last: a volume that could not be removed is still unfinished.
    await removeVolume(docker, mark);
  };
  return {
    findVolumes: async () => await findVolumes(docker, whole),
    readVolume: async (engineName, { signal, use }) => await readVolumeFiles(engineName, engine, { entries, signal, use }),
    removeUnfinished: async () => {
      const marks = await findVolumes(docker, marked);
      if (marks.length === 0) return;
      await sweepVolumeContainers(engine);
      for (const mark of marks) await removeAllOf(mark);
    },
    beginVolumes: async () => {
      const mark = `forge-${dataId}-restore-${randomBytes(6).toString('hex')}`;
      await createVolume(docker, mark, marked);
      return {
        fill: async (engineName, archive, signal) => {
          await createVolume(docker, engineName, { ...whole, [restoreLabel]: mark });
          await writeVolumeFiles(engineName, engine, { archive, signal });
        },
        complete: async () => await removeVolume(docker, mark),
        remove: async () => await removeAllOf(mark),
      };
    },
  };
}
