/** The engine's part of a restore: images and volumes. */
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Docker } from '../docker/connect.ts';
import { findImage, inspectImage } from '../docker/images.ts';
import { loadImages, untagImage } from '../docker/saved-images.ts';
import { ForgeError } from '../errors.ts';
import { readBackup } from './backup-reader.ts';
import { type BackupContents, imagesFolder, volumesFolder } from './format.ts';

export interface VolumeRestore {
  /** Names of the volumes that the engine has. */
  findVolumes(): Promise<readonly string[]>;
  /** Removes the volumes of restores that were killed before they were complete. Throws `conflict` while a container has one mounted. */
  removeUnfinished(): Promise<void>;
  beginVolumes(): Promise<UnfinishedVolumes>;
}

/** The volumes of one restore: unfinished, however it ends, until it is complete. */
export interface UnfinishedVolumes {
  /** Makes the volume with what is in the tar. */
  fill(engineName: string, tar: Readable, signal: AbortSignal): Promise<void>;
  complete(): Promise<void>;
  /** Also those of a complete one. */
  remove(): Promise<void>;
}

export interface EngineRestore {
  readonly file: string;
  /** Already compared with the file. */
  readonly contents: BackupContents;
  readonly keepsVolumes: boolean;
  onStep(text: string): void;
  readonly signal: AbortSignal;
}

/**
 * Resolves to what releases have to call their images from now on; `made` gets what takes it all back. Throws `conflict` for a volume that is there already.
 */
export async function restoreEngine(request: EngineRestore, parts: VolumeRestore & { readonly docker: Docker }, made: AsyncDisposableStack): Promise<ReadonlyMap<string, string>> {
  const { contents, onStep, signal } = request;
  if (contents.images.length + contents.volumes.length === 0) return new Map();
  await parts.removeUnfinished();
  const present = new Set(await parts.findVolumes());
  if (!request.keepsVolumes) refuseTaken(contents, present);
  for (const { tag } of contents.images) {
    if (!(await findImage(parts.docker, tag))) made.defer(async () => await untagImage(parts.docker, tag));
  }
  const volumes = await parts.beginVolumes();
  made.defer(async () => await volumes.remove());
  await feedStreams(request, async (folder, tar) => {
    if (folder === imagesFolder) {
      onStep(`Images: ${contents.images.length}`);
      return await loadImages(parts.docker, tar, signal);
    }
    const volume = contents.volumes.find((one) => folder === (one.folder ?? `${volumesFolder}/${one.engineName}`));
    if (!volume || present.has(volume.engineName)) return;
    onStep(`Volume ${volume.name} of ${volume.app}`);
    await volumes.fill(volume.engineName, tar, signal);
  });
  const ids = await findIds(contents, parts.docker);
  await volumes.complete();
  return ids;
}

function refuseTaken({ volumes }: BackupContents, present: ReadonlySet<string>): void {
  const taken = volumes.filter(({ engineName }) => present.has(engineName));
  if (taken.length === 0) return;
  throw new ForgeError('conflict', `the Docker Engine has ${taken.length === 1 ? 'a volume' : 'volumes'} of this backup already: ${taken.map(({ app, name }) => `${name} of ${app}`).join(', ')}`, {
    details: taken.map(({ engineName }) => engineName),
    hint: '--keep-volumes leaves them as they are; docker volume rm NAME removes one, so that it comes from the backup',
  });
}

async function findIds({ images }: BackupContents, docker: Docker): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>();
  for (const { reference, tag } of images) ids.set(reference, (await inspectImage(docker, tag)).id);
  return ids;
}

/** Puts the pieces of each folder together again and hands them on as one stream. */
async function feedStreams({ file, signal }: EngineRestore, use: (folder: string, stream: Readable) => Promise<void>): Promise<void> {
  let current: { readonly folder: string; readonly stream: PassThrough; readonly used: Promise<void> } | undefined;
  const finish = async (): Promise<void> => {
    current?.stream.end();
    await current?.used;
    current = undefined;
  };
  await readBackup(file, signal, {
    entry: async ({ path, content }) => {
      const folder = /^(images|volumes\/[^/]+)\/\d{6}$/.exec(path)?.[1];
      if (folder !== current?.folder) await finish();
      if (folder === undefined) return;
      if (!current) {
        const stream = new PassThrough();
        current = { folder, stream, used: use(folder, stream) };
        // One that failed, or that has all it needs, takes nothing more: the rest of the file must not wait for it.
        current.used.then(() => stream.resume(), (error: unknown) => stream.destroy(error as Error));
      }
      await pipeline(content, current.stream, { end: false, signal });
    },
  });
  await finish();
}
