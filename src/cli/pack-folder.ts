/** A folder as a tar, without what its .gitignore files and its .dockerignore leave out. */
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import ignore from 'ignore';
import type { Ignore } from 'ignore';
import { pack } from 'tar-stream';
import type { Pack } from 'tar-stream';
import { ForgeError } from '../errors.ts';

/** Git's own folder, and the data directory of a forge that runs here. */
const neverPacked = new Set(['.git', '.forge']);
/** What builds need although a .dockerignore may name it: `docker build` sends these too. */
const alwaysPacked = new Set(['Dockerfile', '.dockerignore', 'Procfile', 'app.json', 'project.toml']);

type Header = Parameters<Pack['entry']>[0];

/** Ignore rules, and the folder they count from: '' or `a/b/`. */
interface Rules {
  readonly base: string;
  readonly rules: Ignore;
}

/** The tar, made while it is read. Fails with `failed` for a file that changes or cannot be read meanwhile. */
export function packFolder(folder: string): Readable {
  const tar = pack();
  const write = async (): Promise<void> => {
    const docker = await readRules(join(folder, '.dockerignore'), '', asDockerPatterns);
    await packEntries({ tar, folder, docker }, '', []);
    tar.finalize();
  };
  write().catch((error: unknown) => {
    tar.destroy(new ForgeError('failed', `${folder} could not be packed: ${(error as Error).message}`, { cause: error }));
  });
  return Readable.from(tar, { objectMode: false });
}

interface Packing {
  readonly tar: Pack;
  readonly folder: string;
  readonly docker: Rules | undefined;
}

/** `prefix` is '' or ends with a slash; `outer` are the .gitignore rules of the folders above. */
async function packEntries(packing: Packing, prefix: string, outer: readonly Rules[]): Promise<void> {
  const own = await readRules(join(packing.folder, prefix, '.gitignore'), prefix, (text) => text);
  const rules = own ? [...outer, own] : outer;
  const entries = await readdir(join(packing.folder, prefix), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = prefix + entry.name;
    const isDirectory = entry.isDirectory();
    if (neverPacked.has(entry.name) || isIgnored(isDirectory ? `${path}/` : path, rules)) continue;
    // A .dockerignore may take back a file in a folder that it leaves out: folders are always entered.
    const isLeftOut = packing.docker !== undefined && !alwaysPacked.has(path) && packing.docker.rules.ignores(isDirectory ? `${path}/` : path);
    if (isDirectory) {
      if (!isLeftOut) await addEntry(packing, path);
      await packEntries(packing, `${path}/`, rules);
    } else if (!isLeftOut) await addEntry(packing, path);
  }
}

/** The innermost file that says anything about the path decides, as in git. */
function isIgnored(path: string, all: readonly Rules[]): boolean {
  for (const { base, rules } of all.toReversed()) {
    const { ignored, unignored } = rules.test(path.slice(base.length));
    if (ignored || unignored) return ignored;
  }
  return false;
}

/** Sockets and devices are left out: no source has them. */
async function addEntry({ tar, folder }: Packing, path: string): Promise<void> {
  const source = join(folder, path);
  const stats = await lstat(source);
  const header: Header = { name: path, mode: stats.mode & 0o777, mtime: stats.mtime };
  if (stats.isDirectory()) await addHeader(tar, { ...header, name: `${path}/`, type: 'directory' });
  else if (stats.isSymbolicLink()) await addHeader(tar, { ...header, type: 'symlink', linkname: await readlink(source) });
  else if (stats.isFile()) await addFile(tar, { ...header, type: 'file', size: stats.size }, source);
}

async function addHeader(tar: Pack, header: Header): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    // An empty body ends the entry of an empty file at once.
    if (header.type === 'file') tar.entry(header, Buffer.alloc(0), done);
    else tar.entry(header, done);
  });
}

async function addFile(tar: Pack, header: Header, source: string): Promise<void> {
  const size = header.size ?? 0;
  // Exactly the announced bytes: a file that grows is cut, one that shrinks is an error of tar-stream's.
  if (size === 0) return await addHeader(tar, header);
  await pipeline(createReadStream(source, { end: size - 1 }), tar.entry(header));
}

async function readRules(path: string, base: string, convert: (text: string) => string): Promise<Rules | undefined> {
  try {
    return { base, rules: ignore().add(convert(await readFile(path, 'utf8'))) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'EISDIR') return undefined;
    throw error;
  }
}

/** Docker's patterns count from the root, git's without a slash match anywhere. */
function asDockerPatterns(text: string): string {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => line.replace(/^(!?)(?:\.\/|\/)*/, '$1/')).join('\n');
}
