/** Which files of the data directory a backup has: everything but what other entries hold, what can be made again and what only a running forge needs. */
import type { Dirent } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isBackupFile } from './backup-file-name.ts';
import type { BackupWriter } from './backup-writer.ts';

/** At the top of the data directory. */
const leftOut = new Set(['run', 'tmp', 'repos', 'cache', 'proxy', 'logs', 'backups', 'restore-unfinished']);
const leftOutPattern = /^forge\.db|^before-restore-|^\.restore-|\.new$/;

export interface DataFilesOptions {
  readonly data: string;
  /** Absolute folders that are not wanted either, such as that of earlier backups. */
  readonly without: readonly string[];
  readonly hasLogs: boolean;
}

/** Writes them as `<prefix>/…`. Links, sockets and backups, wherever they lie, are left out; a file that is removed meanwhile too. */
export async function writeDataFiles(writer: BackupWriter, prefix: string, { data, without, hasLogs }: DataFilesOptions): Promise<void> {
  const isWanted = (name: string): boolean => (name === 'logs' ? hasLogs : !leftOut.has(name) && !leftOutPattern.test(name));
  const unwanted = new Set(without);
  // The folder of scheduled ones may have been another one before.
  const isLeftOut = (path: string, name: string): boolean => unwanted.has(path) || isBackupFile(name.replace(/\.part$/, ''));
  for (const entry of await list(data)) if (isWanted(entry.name)) await writeTree(writer, { entry, from: data, to: prefix, isLeftOut });
}

/** Writes a folder with everything in it. */
export async function writeFolder(writer: BackupWriter, from: string, to: string): Promise<void> {
  await writer.folder(to);
  for (const entry of await list(from)) await writeTree(writer, { entry, from, to, isLeftOut: () => false });
}

interface Tree {
  readonly entry: Dirent;
  readonly from: string;
  readonly to: string;
  isLeftOut(path: string, name: string): boolean;
}

async function writeTree(writer: BackupWriter, { entry, from, to, isLeftOut }: Tree): Promise<void> {
  const [source, target] = [join(from, entry.name), `${to}/${entry.name}`];
  if (isLeftOut(source, entry.name)) return;
  if (entry.isDirectory()) {
    await writer.folder(target);
    for (const below of await list(source)) await writeTree(writer, { entry: below, from: source, to: target, isLeftOut });
  } else if (entry.isFile()) {
    await writeFile(writer, source, target);
  }
}

async function writeFile(writer: BackupWriter, source: string, target: string): Promise<void> {
  const file = await open(source).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!file) return;
  try {
    // Logs grow meanwhile: what is there now counts.
    const { size } = await file.stat();
    await writer.file(target, size === 0 ? new Uint8Array() : file.createReadStream({ end: size - 1, autoClose: false }), size);
  } finally {
    await file.close();
  }
}

async function list(path: string): Promise<readonly Dirent[]> {
  try {
    return (await readdir(path, { withFileTypes: true })).sort((a, b) => a.name.localeCompare(b.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
