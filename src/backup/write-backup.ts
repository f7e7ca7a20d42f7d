/** A backup while forge runs: a moment of repositories and database, then the images and volumes that go with it. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Docker } from '../docker/connect.ts';
import { saveImages } from '../docker/saved-images.ts';
import { isForgeError } from '../errors.ts';
import { linkRepository } from '../git/link-repository.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { schemaOf } from '../store/migrate.ts';
import type { Store } from '../store/store.ts';
import { type BackupWriter, writeEntries } from './backup-writer.ts';
import { writeDataFiles, writeFolder } from './data-files.ts';
import { type BackupContents, type BackupHead, contentsName, dataFolder, formatNumber, headName, imagesFolder, volumesFolder } from './format.ts';
import { findLiveImages, withTags } from './live-images.ts';

export interface BackupParts {
  readonly store: Pick<Store, 'db' | 'now'>;
  readonly docker: Docker;
  /** The data directory. */
  readonly data: string;
  readonly dataId: string;
  readonly domain: string;
  /** Version of forge. */
  readonly forge: string;
  /** Where scheduled backups lie: they are no part of one. */
  readonly backupDir: string;
  /** The volume as a tar, read while `use` runs. Throws `not-found`; `use` fails with `conflict` when it could not be copied whole. */
  readVolume(engineName: string, options: { readonly signal: AbortSignal; use(tar: Readable): Promise<void> }): Promise<void>;
}

export interface BackupRequest {
  /** Not ended. */
  readonly output: Writable;
  /** Whether what apps have printed is wanted too. */
  readonly hasLogs: boolean;
  /** One line a step. */
  onStep(text: string): void;
  readonly signal: AbortSignal;
}

export interface BackupSummary {
  readonly apps: number;
  readonly images: number;
  readonly volumes: number;
  /** Of everything in it, uncompressed. */
  readonly bytes: number;
  /** What should be in it and could not be had, in words. */
  readonly missing: readonly string[];
}

const volumeAttempts = 3;

type Contents = { -readonly [K in keyof BackupContents]: BackupContents[K] };

/** Throws with the signal's reason, or what `output` or the engine failed with: what was written is no backup then. */
export async function writeBackup(parts: BackupParts, request: BackupRequest): Promise<BackupSummary> {
  await mkdir(join(parts.data, 'tmp'), { recursive: true, mode: 0o700 });
  const moment = await mkdtemp(join(parts.data, 'tmp', 'backup-'));
  try {
    // Repositories first: a database that names a commit which its repository has not got yet takes the same push again,
    // while a repository that is ahead would answer it with "everything up-to-date".
    await linkRepositories(join(parts.data, 'repos'), join(moment, 'repos'));
    await parts.store.db.copyMeanwhile(join(moment, 'forge.db'));
    const db = openDatabase(join(moment, 'forge.db'));
    try {
      // What is written is the file alone.
      db.get('PRAGMA journal_mode = DELETE');
      return await writeMoment(moment, db, parts, request);
    } finally {
      db.close();
    }
  } finally {
    await rm(moment, { recursive: true, force: true });
  }
}

async function writeMoment(moment: string, db: Database, parts: BackupParts, { output, hasLogs, onStep, signal }: BackupRequest): Promise<BackupSummary> {
  const apps = db.all('SELECT name FROM apps ORDER BY name').map((row) => String(row['name']));
  const contents: Contents = { apps, images: [], volumes: [], missing: [], entries: {} };
  let bytes = 0;
  await writeEntries(output, signal, async (writer) => {
    await writeDocument(writer, headName, headOf(db, parts));
    onStep('Keys, settings and logs of deployments');
    await writeDataFiles(writer, dataFolder, { data: parts.data, without: [parts.backupDir], hasLogs });
    onStep(`Repositories and database of ${apps.length} ${apps.length === 1 ? 'app' : 'apps'}`);
    await writeFolder(writer, moment, dataFolder);
    await writeImages(writer, contents, { db, parts, onStep, signal });
    await writeVolumes(writer, contents, { db, parts, onStep, signal });
    contents.entries = Object.fromEntries(Object.entries(writer.entries).filter(([name]) => name !== headName));
    await writeDocument(writer, contentsName, contents);
    bytes = writer.bytes;
  });
  return { apps: apps.length, images: contents.images.length, volumes: contents.volumes.length, bytes, missing: contents.missing };
}

interface Task {
  readonly db: Database;
  readonly parts: BackupParts;
  readonly onStep: (text: string) => void;
  readonly signal: AbortSignal;
}

async function writeImages(writer: BackupWriter, contents: Contents, { db, parts, onStep, signal }: Task): Promise<void> {
  const images = findLiveImages(db);
  await withTags(parts.docker, images, {
    dataId: parts.dataId,
    onMissing: ({ app, reference }) => (contents.missing = [...contents.missing, `the image of ${app} (${reference}): the Docker Engine does not have it`]),
    use: async (tagged) => {
      contents.images = tagged.map(({ reference, tag }) => ({ reference, tag }));
      if (tagged.length === 0) return;
      onStep(`Images: ${tagged.length}`);
      await writer.pieces(imagesFolder, await saveImages(parts.docker, tagged.map(({ tag }) => tag), signal));
    },
  });
}

async function writeVolumes(writer: BackupWriter, contents: Contents, { db, parts, onStep, signal }: Task): Promise<void> {
  const rows = db.all('SELECT app, name, engine_name FROM volumes ORDER BY app, name');
  for (const row of rows) {
    const [app, name, engineName] = [row['app'], row['name'], row['engine_name']].map(String) as [string, string, string];
    onStep(`Volume ${name} of ${app}`);
    try {
      contents.volumes = [...contents.volumes, { app, name, engineName, ...(await writeVolume(writer, engineName, parts, signal)) }];
    } catch (error) {
      if (!isForgeError(error) || (error.code !== 'not-found' && error.code !== 'conflict')) throw error;
      contents.missing = [...contents.missing, `the volume ${name} of ${app}: ${error.message}`];
    }
  }
}

/** Copied again when the engine broke off. What has been written of it stays in the file, below a folder that nothing names. */
async function writeVolume(writer: BackupWriter, engineName: string, parts: BackupParts, signal: AbortSignal): Promise<{ folder?: string }> {
  for (let attempt = 1; ; attempt++) {
    const folder = `${volumesFolder}/${engineName}${attempt === 1 ? '' : `.${attempt}`}`;
    try {
      await parts.readVolume(engineName, { signal, use: async (tar) => await writer.pieces(folder, tar) });
      return attempt === 1 ? {} : { folder };
    } catch (error) {
      if (!isForgeError(error) || error.code !== 'conflict' || attempt === volumeAttempts) throw error;
    }
  }
}

async function linkRepositories(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  const names = await readdir(from).catch(() => []);
  // One that begins with a dot is being removed, or belongs to nobody.
  for (const name of names) if (/^[^.].*\.git$/.test(name)) await linkRepository(join(from, name), join(to, name));
}

const headOf = (db: Database, { domain, forge, store }: BackupParts): BackupHead => ({ format: formatNumber, forge, schema: schemaOf(db), domain, createdAt: store.now().toISOString() });

async function writeDocument(writer: BackupWriter, name: string, value: unknown): Promise<void> {
  const text = Buffer.from(`${JSON.stringify(value, undefined, 1)}\n`);
  await writer.file(name, text, text.length);
}
