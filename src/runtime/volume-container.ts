/** The containers through which the engine reads and writes volumes. They are never started: the engine opens their files all the same. */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { openArchive, putArchive } from '../docker/archive.ts';
import type { Docker } from '../docker/connect.ts';
import { createContainer, removeContainer } from '../docker/containers.ts';
import { ensureEmptyImage } from '../docker/empty-image.ts';
import { findVolumes, mountVolume, removeVolume } from '../docker/volumes.ts';
import { ForgeError } from '../errors.ts';
import { blankLabels, labels } from '../labels.ts';
import { wholeTar } from '../tar-end.ts';
import { withTimeout } from '../wait.ts';

export interface VolumeEngine {
  readonly docker: Docker;
  readonly dataId: string;
  /** Names this start of forge; `undefined` where none runs. */
  readonly startId?: string | undefined;
}

/** Where the volume is in them. At the top: the engine refuses symlinks that lead out of where it unpacks. */
const folder = '/';
const root = 'volume';
const engineTimeoutMs = 60_000;

/** Volumes are found by their label, never by the app's: an app may be renamed. */
export const volumeLabels = (dataId: string): Record<string, string> => ({ [labels.data]: dataId, [labels.role]: 'volume' });

/** Of what the engine makes because a container mounts a volume that has just been removed: nobody's. */
export const strayLabels = (dataId: string): Record<string, string> => ({ [labels.data]: dataId, [labels.role]: 'stray-volume' });

/**
 * The volume as a tar whose entries begin with `root`, read while `use` runs: files as they are while apps go on writing.
 * Throws `not-found` for a volume that the engine does not have, and makes none. `use` reads a failure with the code
 * `conflict` in place of the end when the engine broke off: it does so, without a word, after a file that shrinks while it is copied.
 */
export async function readVolumeFiles(
  engineName: string,
  engine: VolumeEngine,
  options: { readonly entries: './' | 'volume/'; readonly signal: AbortSignal; use(tar: Readable): Promise<void> },
): Promise<void> {
  await inVolumeContainer(engineName, engine, async (containerId) => {
    const path = `${folder}${root}${options.entries === './' ? '/.' : ''}`;
    const copied = await openArchive(engine.docker, { containerId, path, signal: options.signal });
    if (!copied) throw noVolume(engineName);
    const tar = wholeTar(copied, () => cutOff(engineName));
    try {
      await options.use(tar);
    } finally {
      tar.destroy();
    }
  });
}

/** Unpacks a tar whose entries all lie below `volume/`. Throws `not-found` as `readVolumeFiles` does. */
export async function writeVolumeFiles(engineName: string, engine: VolumeEngine, { archive, signal }: { readonly archive: Readable; readonly signal: AbortSignal }): Promise<void> {
  await inVolumeContainer(engineName, engine, async (containerId) => await putArchive(engine.docker, { containerId, path: folder, archive, signal }));
}

/** A container of the image with these mounts, for as long as `task` runs. */
export async function inCreatedContainer(
  { image, mounts }: { readonly image: string; readonly mounts: readonly ReturnType<typeof mountVolume>[] },
  { docker, dataId, startId = '' }: VolumeEngine,
  task: (containerId: string) => Promise<void>,
): Promise<void> {
  const name = `forge-volume-${randomBytes(6).toString('hex')}`;
  try {
    const containerId = await createContainer(docker, {
      name,
      Image: image,
      Entrypoint: ['/nothing'],
      Cmd: [],
      Labels: { ...blankLabels, ...volumeLabels(dataId), [labels.start]: startId },
      HostConfig: { NetworkMode: 'none', CapDrop: ['ALL'], Mounts: [...mounts] },
    });
    await task(containerId);
  } finally {
    await withTimeout(engineTimeoutMs, 'the Docker Engine did not remove the container in time', () => removeContainer(docker, name)).catch(() => undefined);
  }
}

async function inVolumeContainer(engineName: string, engine: VolumeEngine, task: (containerId: string) => Promise<void>): Promise<void> {
  const { docker, dataId } = engine;
  const isThere = async (): Promise<boolean> => (await findVolumes(docker, volumeLabels(dataId))).includes(engineName);
  if (!(await isThere())) throw noVolume(engineName);
  const image = await ensureEmptyImage(docker);
  const mounts = [mountVolume({ volume: engineName, path: `${folder}${root}`, labels: strayLabels(dataId) })];
  let isStray = false;
  try {
    await inCreatedContainer({ image, mounts }, engine, async (containerId) => {
      // Asked again now that nobody can remove it: it may have gone before it was mounted.
      isStray = !(await isThere());
      if (isStray) throw noVolume(engineName);
      await task(containerId);
    });
  } finally {
    if (isStray) await removeVolume(docker, engineName).catch(() => undefined);
  }
}

const noVolume = (engineName: string): ForgeError => new ForgeError('not-found', `the Docker Engine has no volume ${engineName}`);

const cutOff = (engineName: string): ForgeError =>
  new ForgeError('conflict', `the volume ${engineName} was not copied whole: a file in it became shorter meanwhile`, { hint: 'try again; or stop the app first (forge ps:stop APP), so that nothing is written meanwhile' });
