/** Volumes of apps: made, removed, backed up and restored. Mounting is a change of settings and goes through deploy/. */
import type { Readable } from 'node:stream';
import { extract as tarExtract } from 'tar-stream';
import { watchFreeSpace } from '../build/free-space.ts';
import type { Config } from '../config.ts';
import { liveRelease } from '../deploy/live-release.ts';
import { appOf, takeTurn, type TurnParts } from '../deploy/turn.ts';
import type { Actor } from '../domain.ts';
import { ForgeError, isForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Report } from '../report.ts';
import type { VolumeStore } from '../runtime/volume-store.ts';
import type { Store } from '../store/store.ts';
import { createVolume, dropVolume, findDroppedVolumes, forgetDroppedVolume, getVolume, prepareReplacement, replaceVolume, type Volume } from '../store/volumes.ts';
import { checkVolumeArchive, type VolumeContents } from './volume-archive.ts';
import { withIdleDeadline } from '../with-idle-deadline.ts';

export interface VolumeRequest {
  readonly app: string;
  readonly name: string;
  readonly actor: Actor;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface Volumes {
  create(request: VolumeRequest): Promise<Volume>;
  /** Throws `conflict` while the app mounts it. */
  remove(request: VolumeRequest): Promise<void>;
  /** Hands the volume as a tar to `use`. What is written meanwhile may be in it or not. */
  backup(request: VolumeRequest, use: (tar: Readable) => Promise<void>): Promise<void>;
  /** All of the archive or nothing of it. Throws `conflict` for a volume that is not empty, unless forced, or that instances have mounted. */
  restore(request: VolumeRequest & { readonly archive: Readable; readonly isForced: boolean }): Promise<VolumeContents>;
  /** Removes from the engine what nothing names any more; what is still held is tried again later. */
  sweep(): Promise<void>;
}

export interface VolumesParts extends TurnParts {
  readonly volumes: VolumeStore;
  readonly config: Pick<Config, 'minFreeBytes' | 'volumeMaxBytes'>;
  readonly diskDirectories: readonly string[];
  /** How long a restore waits for the next bytes of its archive. Default: a minute. */
  readonly inputIdleMs?: number;
  readonly log: Log;
}

/** With what is being restored to: it counts as dropped until all of it is there, and nobody may remove it meanwhile. */
interface VolumesState extends VolumesParts {
  readonly filling: Set<string>;
}

export function createVolumes(given: VolumesParts): Volumes {
  const parts: VolumesState = { ...given, filling: new Set() };
  const { store, volumes } = parts;
  return {
    create: async ({ app, name }) => {
      appOf(app, store);
      const volume = createVolume(store, { app, name, dataId: volumes.dataId });
      try {
        await volumes.create(volume.engineName);
      } catch (error) {
        dropVolume(store, app, name);
        throw error;
      }
      return volume;
    },
    remove: async (request) => {
      const { app, name } = request;
      using _turn = await volumeTurn(request, 'a removal of a volume', parts);
      getVolume(store, app, name);
      refuseMounted(request, store);
      dropVolume(store, app, name);
      await sweep(parts);
    },
    backup: async ({ app, name, signal }, use) => await volumes.read(getVolume(store, app, name).engineName, signal, use),
    restore: async (request) => {
      using _turn = await volumeTurn(request, 'a restore of a volume', parts);
      return await restore(request, parts);
    },
    sweep: async () => await sweep(parts),
  };
}

const volumeTurn = async ({ app, signal, report }: VolumeRequest, holder: string, parts: VolumesParts) => await takeTurn({ app, holder, signal, report, isRelease: true }, parts);

function refuseMounted({ app: appName, name }: VolumeRequest, store: Store): void {
  const app = appOf(appName, store);
  const live = app.currentVersion === undefined ? [] : liveRelease(app, { store }).settings.mounts;
  if (![...app.settings.mounts, ...live].some(({ volume }) => volume === name)) return;
  throw new ForgeError('conflict', `${appName} has its volume ${name} mounted`, { hint: `forge volumes:unmount ${appName} ${name} takes it out of the instances first` });
}

/** Into a new volume of the engine, which takes the old one's place when all of it is there. */
async function restore({ app: appName, name, archive, isForced, signal }: VolumeRequest & { readonly archive: Readable; readonly isForced: boolean }, parts: VolumesState): Promise<VolumeContents> {
  const { store, volumes, config, diskDirectories, inputIdleMs = 60_000 } = parts;
  const app = appOf(appName, store);
  const isMounted = app.currentVersion !== undefined && liveRelease(app, parts).settings.mounts.some(({ volume }) => volume === name);
  if (isMounted && !app.isStopped) throw new ForgeError('conflict', `instances of ${appName} have its volume ${name} mounted`, { hint: `stop them first: forge ps:stop ${appName}` });
  const { engineName: before } = getVolume(store, appName, name);
  if (!isForced && !(await isEmpty(before, volumes, signal))) {
    throw new ForgeError('conflict', `the volume ${name} of ${appName} is not empty`, { hint: 'with --force the backup takes the place of all that is in it' });
  }
  const engineName = prepareReplacement(store, appName, name);
  parts.filling.add(engineName);
  try {
    using space = watchFreeSpace({ directories: diskDirectories, minFreeBytes: config.minFreeBytes / 2, what: 'the restore', signal });
    // The app's turn is held: a client that says nothing more must not keep it.
    const input = withIdleDeadline(archive, { ms: inputIdleMs, message: `nothing more of the backup came for ${inputIdleMs / 1000} seconds: the volume ${name} is as it was` });
    const contents = await fillVolume(engineName, { archive: input, maxBytes: config.volumeMaxBytes, signal: space.signal, volumes });
    replaceVolume(store, { app: appName, name, engineName });
    return contents;
  } finally {
    parts.filling.delete(engineName);
    await sweep(parts);
  }
}

export interface Filling {
  readonly archive: Readable;
  /** Its files together; default: what the disk has room for. */
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
  readonly volumes: VolumeStore;
}

/** Makes the volume and unpacks the checked archive into it. */
export async function fillVolume(engineName: string, { archive, maxBytes = Infinity, signal, volumes }: Filling): Promise<VolumeContents> {
  await volumes.create(engineName);
  const checked = checkVolumeArchive(archive, { maxBytes, signal });
  try {
    await volumes.write(engineName, checked.archive, signal);
  } catch (error) {
    // The engine only says that the stream ended; why it did is the reason.
    archive.destroy();
    await checked.done;
    throw error;
  }
  return await checked.done;
}

/** One that the engine does not have has never been mounted, or is lost: there is nothing to lose. */
async function isEmpty(engineName: string, volumes: VolumeStore, signal: AbortSignal): Promise<boolean> {
  let count = 0;
  const look = async (tar: Readable): Promise<void> => {
    const extract = tarExtract();
    tar.on('error', (error) => extract.destroy(error));
    for await (const entry of tar.pipe(extract)) {
      count += 1;
      if (count > 1) return;
      entry.resume();
    }
  };
  await volumes.read(engineName, signal, look).catch((error: unknown) => {
    if (!isForgeError(error) || error.code !== 'not-found') throw error;
  });
  return count <= 1;
}

async function sweep({ store, volumes, log, filling }: VolumesState): Promise<void> {
  for (const engineName of findDroppedVolumes(store)) {
    // Asked again: while the ones before it were removed, it may have become a volume that an app has.
    if (filling.has(engineName) || !findDroppedVolumes(store).includes(engineName)) continue;
    try {
      await volumes.remove(engineName);
      forgetDroppedVolume(store, engineName);
    } catch (error) {
      // A container that is about to end holds it, or the engine is away.
      const isHeld = isForgeError(error) && error.code === 'conflict';
      log[isHeld ? 'info' : 'warn']({ err: error, volume: engineName }, 'a volume could not be removed yet; forge tries again');
    }
  }
}
