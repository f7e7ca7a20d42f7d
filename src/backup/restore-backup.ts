/** A backup becomes a data directory, images and volumes: first all of it is checked, then the engine gets its part, then files go into place. */
import { createWriteStream } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Docker } from '../docker/connect.ts';
import { ForgeError } from '../errors.ts';
import { openDatabase } from '../store/database.ts';
import { replaceImageReferences } from '../store/releases.ts';
import { readBackup } from './backup-reader.ts';
import { checkData, refuseIncomplete, refuseNewerSchema } from './check-data.ts';
import { type BackupContents, type BackupHead, dataFolder } from './format.ts';
import { holdsForge, placeData } from './place-data.ts';
import { restoreEngine } from './restore-engine.ts';
import { createVolumeFiles } from './volume-files.ts';

export interface RestoreRequest {
  readonly file: string;
  /** The data directory: made if missing. */
  readonly data: string;
  /** Whether a forge that is there is set aside. */
  readonly isReplacing: boolean;
  /** Whether volumes that the engine has already stay as they are. */
  readonly keepsVolumes: boolean;
  onStep(text: string): void;
  readonly signal: AbortSignal;
}

export interface Restored {
  readonly head: BackupHead;
  readonly contents: BackupContents;
  /** Folder with what was there before, if anything was. */
  readonly setAside: string | undefined;
}

/** Reads the whole file and compares every checksum. Throws `invalid` for one that is damaged, cut off or no backup. */
export async function checkBackup(file: string, signal: AbortSignal): Promise<{ readonly head: BackupHead; readonly contents: BackupContents }> {
  const read = await readBackup(file, signal, { head: refuseNewer(file), entry: async () => undefined });
  refuseIncomplete(file, read.contents);
  return read;
}

/**
 * Nobody may use the data directory meanwhile. Throws `conflict` where a forge or a volume would be overwritten and as
 * `checkBackup` does; data directory and engine are then as they were.
 */
export async function restoreBackup(request: RestoreRequest, docker: Docker): Promise<Restored> {
  const { file, data, signal } = request;
  if (!request.isReplacing && (await holdsForge(data))) {
    throw new ForgeError('conflict', `${data} holds a forge already: nothing was restored`, { hint: 'restore into another --data directory; or stop that forge and add --replace, which sets its data aside' });
  }
  const isNew = await mkdir(data, { recursive: true, mode: 0o700 });
  await removeLeftOvers(data);
  const aside = await mkdtemp(join(data, '.restore-'));
  await using made = new AsyncDisposableStack();
  try {
    request.onStep(`Checking ${file}`);
    const { head, contents } = await readBackup(file, signal, { head: refuseNewer(file), entry: extractInto(aside, signal) });
    refuseIncomplete(file, contents);
    const dataId = await checkData(file, aside);
    const renamed = await restoreEngine({ ...request, contents }, { docker, ...createVolumeFiles(docker, dataId) }, made);
    replaceReferences(join(aside, 'forge.db'), renamed);
    await giveToOwner(aside, data);
    const setAside = await placeData({ aside, data, isReplacing: request.isReplacing, at: new Date() });
    made.move();
    return { head, contents, setAside };
  } catch (error) {
    await rm(isNew ?? aside, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

const refuseNewer = (file: string) => (head: BackupHead): void => refuseNewerSchema(file, head);

const extractInto = (aside: string, signal: AbortSignal): Parameters<typeof readBackup>[2]['entry'] => async ({ path, isFolder, content }) => {
  if (path === dataFolder || !path.startsWith(`${dataFolder}/`)) return;
  const target = join(aside, path.slice(dataFolder.length + 1));
  await mkdir(isFolder ? target : dirname(target), { recursive: true, mode: 0o700 });
  if (!isFolder) await pipeline(content, createWriteStream(target, { flags: 'wx', mode: 0o600, flush: true }), { signal });
};

/** The engine that loaded the images may know them by other ids than the one that saved them. */
function replaceReferences(path: string, renamed: ReadonlyMap<string, string>): void {
  const db = openDatabase(path);
  try {
    for (const [from, to] of renamed) replaceImageReferences(db, from, to);
    db.get('PRAGMA journal_mode = DELETE');
  } finally {
    db.close();
  }
}

/** Root restores for the account that forge runs as: the owner of the data directory. */
async function giveToOwner(aside: string, data: string): Promise<void> {
  const { uid, gid } = await stat(data);
  if (process.getuid?.() !== 0 || uid === 0) return;
  for (const name of await readdir(aside, { recursive: true })) await chown(join(aside, name), uid, gid);
  await chown(aside, uid, gid);
  await chmod(aside, 0o700);
}

async function removeLeftOvers(data: string): Promise<void> {
  for (const name of await readdir(data)) if (name.startsWith('.restore-')) await rm(join(data, name), { recursive: true, force: true });
}
