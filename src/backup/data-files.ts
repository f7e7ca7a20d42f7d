/** Which files of the data directory a backup has: everything but what other entries hold, what can be made again and what only a running forge needs. */
import type { Dirent } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupWriter } from './backup-writer.ts';

/** At the top of the data directory. */
const leftOut = new Set(['run', 'tmp', 'repos', 'cache', 'proxy', 'logs', 'restore-unfinished']);
const leftOutPattern = /^forge\.db|^before-restore-|^\.restore-|\.new$/;
const nothing = new Set<string>();

export interface DataFilesOptions {
  readonly data: string;
  /** Absolute folders that are not wanted either, such as that of earlier backups. */
  readonly without: readonly string[];
  readonly hasLogs: boolean;
}

/** Writes them as `<prefix>/…`. Links and sockets are left out; a file that is removed meanwhile too. */
export async function writeDataFiles(writer: BackupWriter, prefix: string, { data, without, hasLogs }: DataFilesOptions): Promise<void> {
  const isWanted = (name: string): boolean => (name === 'logs' ? hasLogs : !leftOut.has(name) && !leftOutPattern.test(name)) && !without.includes(join(data, name));
  for (const entry of await list(data)) if (isWanted(entry.name)) await writeTree(writer, { entry, from: data, to: prefix, without: new Set(without) });
}

/** Writes a folder with everything in it. */
export async function writeFolder(writer: BackupWriter, from: string, to: string): Promise<void> {
  await writer.folder(to);
  for (const entry of await list(from)) await writeTree(writer, { entry, from, to, without: nothing });
}

async function writeTree(writer: BackupWriter, { entry, from, to, without }: { readonly entry: Dirent; readonly from: string; readonly to: string; readonly without: ReadonlySet<string> }): Promise<void> {
  const [source, target] = [join(from, entry.name), `${to}/${entry.name}`];
  if (without.has(source)) return;
  if (entry.isDirectory()) {
    await writer.folder(target);
    for (const below of await list(source)) await writeTree(writer, { entry: below, from: source, to: target, without });
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
