/** Files into and out of containers, running or not, as tar streams: no bind mounts, no root, no shell. */
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { abortError, ForgeError } from '../errors.ts';
import { type Docker, engineCall } from './connect.ts';
import { sendArchive } from './send-archive.ts';

/** One file, directory or symbolic link to write. Directories and links have no content. */
export interface ArchiveEntry {
  /** Relative to where the archive is unpacked; directories end with `/`. */
  readonly path: string;
  readonly content?: string | Uint8Array;
  /** Permission bits; default 0755 for directories, 0644 for files. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Makes the entry a symbolic link to this target. */
  readonly linkTo?: string;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** One moment for every entry, so that the same entries give the same bytes. */
const mtime = new Date(315_532_801_000);

/** The entries as a tar stream, in their order, with fixed times. */
export function packEntries(entries: Iterable<ArchiveEntry>): Readable {
  const pack = tar.pack();
  const fill = async (): Promise<void> => {
    for (const entry of entries) await writeEntry(pack, entry);
    pack.finalize();
  };
  fill().catch((error: unknown) => pack.destroy(error as Error));
  return Readable.from(pack);
}

/** Unpacks the tar at `path` of the container, which need not be running; owners and modes are those of the tar. */
export async function putArchive(docker: Docker, options: { containerId: string; path: string; archive: Readable; signal: AbortSignal }): Promise<void> {
  const { containerId, path, archive, signal } = options;
  const call = (body: Readable) => docker.getContainer(containerId).putArchive(body, { path, abortSignal: signal });
  await engineCall(`copy files into container ${containerId.slice(0, 12)}`, sendArchive({ archive, call, read: async () => undefined, signal }), signal);
}

/** Contents of one file of a container, or `undefined` when there is none. Throws `failed` above `maxBytes`. */
export async function readContainerFile(
  docker: Docker,
  options: { containerId: string; path: string; maxBytes?: number; signal: AbortSignal },
): Promise<Buffer | undefined> {
  const { containerId, path, maxBytes = 1024 * 1024, signal } = options;
  const archive = await openArchive(docker, { containerId, path, signal });
  if (!archive) return undefined;
  const extract = tar.extract();
  const done = pipeline(archive, extract, { signal });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const entry of extract) {
      for await (const chunk of entry as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > maxBytes) throw new ForgeError('failed', `${path} is larger than ${maxBytes} bytes`);
        chunks.push(chunk);
      }
    }
    await done;
  } catch (error) {
    done.catch(() => undefined);
    archive.destroy();
    if (signal.aborted) throw abortError(signal);
    throw error;
  }
  return Buffer.concat(chunks);
}

/** The tar of a path in a container, or `undefined` when it does not exist. */
export async function openArchive(docker: Docker, options: { containerId: string; path: string; signal: AbortSignal }): Promise<Readable | undefined> {
  const { containerId, path, signal } = options;
  try {
    const stream: unknown = await engineCall(`read ${path}`, docker.getContainer(containerId).getArchive({ path, abortSignal: signal }), signal);
    return stream as Readable;
  } catch (error) {
    if (error instanceof ForgeError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** Copies the wanted entries of a tar into `pack`, each below `prefix` and owned by `owner`; permission bits are kept. */
export async function repackOwned(
  source: Readable,
  pack: ReturnType<typeof tar.pack>,
  options: { prefix: string; owner: Owner; isWanted: (path: string) => boolean; signal: AbortSignal },
): Promise<void> {
  const { prefix, owner, isWanted, signal } = options;
  const extract = tar.extract();
  const read = pipeline(source, extract, { signal });
  try {
    for await (const entry of extract) {
      const { header } = entry;
      const path = header.name.replace(/^(\.?\/)+/, '');
      if (path === '' || path === '.' || !isWanted(path)) {
        entry.resume();
        continue;
      }
      const mode = (header.mode ?? 0o644) & 0o777;
      const linkname = header.type === 'link' ? prefix + (header.linkname ?? '').replace(/^(\.?\/)+/, '') : header.linkname;
      const target = pack.entry({ type: header.type, size: header.size, mtime, mode, ...owner, ...(linkname ? { linkname } : {}), name: prefix + path });
      if (header.type === 'file') await pipeline(entry, target as unknown as Writable, { signal });
      else entry.resume();
    }
    await read;
  } catch (error) {
    read.catch(() => undefined);
    if (signal.aborted) throw abortError(signal);
    throw error;
  }
}

/** Adds one entry to a tar that is being written, waiting for its reader. */
export async function writeEntry(pack: ReturnType<typeof tar.pack>, entry: ArchiveEntry): Promise<void> {
  const isDirectory = entry.path.endsWith('/');
  const mode = entry.mode ?? (isDirectory ? 0o755 : 0o644);
  const header = { name: entry.path, mode, uid: entry.uid ?? 0, gid: entry.gid ?? 0, mtime };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const written = (error?: Error | null): void => (error ? reject(error) : resolve());
  if (entry.linkTo !== undefined) pack.entry({ ...header, type: 'symlink', linkname: entry.linkTo }, written);
  else if (isDirectory) pack.entry({ ...header, type: 'directory' }, written);
  else pack.entry(header, Buffer.from(entry.content ?? ''), written);
  await promise;
}
