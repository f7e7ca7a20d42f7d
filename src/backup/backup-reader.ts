/** Reads the file of a backup, entry by entry, and knows at its end whether it is whole. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import tar from 'tar-stream';
import { z } from 'zod';
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import { type BackupContents, type BackupHead, contents, contentsName, formatNumber, head, headName } from './format.ts';

export interface BackupEntry {
  /** Relative, without `.` and `..` parts; a folder has no slash at its end. */
  readonly path: string;
  readonly isFolder: boolean;
  /** To be read to its end before the next entry comes. */
  readonly content: Readable;
}

export interface BackupVisitor {
  /** Comes before any entry. */
  head?(head: BackupHead): void;
  /** Resolves when the content was read; what is left of it is skipped. */
  entry(entry: BackupEntry): Promise<void>;
}

const zstdMagic = '28b52ffd';
const maxDocumentBytes = 256 * 1024 * 1024;
const plainPath = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\0][^\0]*$/;

/**
 * Visits every entry in the order of the file and returns the contents, after their checksums were compared. Throws
 * `invalid` for a file that is no backup, cut off or damaged: what the visitor made of it must not be used then.
 */
export async function readBackup(path: string, signal: AbortSignal, visitor: BackupVisitor): Promise<{ readonly head: BackupHead; readonly contents: BackupContents }> {
  await refuseOtherFile(path);
  const extract = tar.extract();
  const fed = pipeline(createReadStream(path), createZstdDecompress(), extract, { signal });
  const fedOrBroken = fed.catch((error: unknown) => {
    throw signal.aborted ? abortError(signal) : notWhole(path, (error as Error).message, error);
  });
  fedOrBroken.catch(() => undefined);
  try {
    const read = await visitEntries(extract, path, visitor);
    await fedOrBroken;
    return read;
  } catch (error) {
    extract.destroy();
    if (signal.aborted) throw abortError(signal);
    if (isForgeError(error)) throw error;
    // A broken stream is why the entry could not be read.
    await fedOrBroken;
    throw error;
  }
}

async function visitEntries(extract: tar.Extract, path: string, visitor: BackupVisitor): Promise<{ head: BackupHead; contents: BackupContents }> {
  const seen: BackupContents['entries'] = {};
  let first: BackupHead | undefined;
  let last: BackupContents | undefined;
  for await (const source of extract) {
    const entry = source as unknown as Readable & { readonly header: tar.Header };
    const { name = '', type } = entry.header;
    if (last) throw notWhole(path, 'something follows its contents');
    if (!first) {
      if (name !== headName) throw notBackup(path);
      first = readHead(path, await readDocument(entry, path, head));
      visitor.head?.(first);
    } else if (name === contentsName) {
      last = await readDocument(entry, path, contents);
    } else {
      const plain = name.replace(/\/$/, '');
      if (!plainPath.test(plain) || (type !== 'file' && type !== 'directory')) throw notWhole(path, `there is an entry ${JSON.stringify(name)} in it`);
      const { content, sum } = summed(entry);
      await visitor.entry({ path: plain, isFolder: type === 'directory', content });
      if (!content.readableEnded) for await (const _rest of content);
      if (type === 'file') seen[plain] = sum();
    }
  }
  if (!first || !last) throw notWhole(path, 'its end is missing');
  compare(path, seen, last.entries);
  return { head: first, contents: last };
}

function compare(path: string, seen: BackupContents['entries'], wanted: BackupContents['entries']): void {
  for (const [name, { sha256, bytes }] of Object.entries(wanted)) {
    if (seen[name]?.sha256 !== sha256 || seen[name].bytes !== bytes) throw notWhole(path, `${name} is ${seen[name] ? 'not what was backed up' : 'missing'}`);
  }
  const added = Object.keys(seen).find((name) => !wanted[name]);
  if (added !== undefined) throw notWhole(path, `${added} was added to it`);
}

function summed(entry: Readable): { content: Readable; sum(): { sha256: string; bytes: number } } {
  const hash = createHash('sha256');
  let bytes = 0;
  const content = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  // The reader of `content` sees the failure.
  pipeline(entry, content).catch(() => undefined);
  return { content, sum: () => ({ sha256: hash.digest('hex'), bytes }) };
}

async function readDocument<T>(entry: Readable, path: string, schema: z.ZodType<T>): Promise<T> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of entry as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxDocumentBytes) throw notWhole(path, 'its description is too long');
    chunks.push(chunk);
  }
  try {
    return schema.parse(JSON.parse(Buffer.concat(chunks).toString()));
  } catch (error) {
    throw notWhole(path, 'its description cannot be read', error);
  }
}

function readHead(path: string, found: BackupHead): BackupHead {
  if (found.format <= formatNumber) return found;
  throw new ForgeError('conflict', `${path} was written by a newer forge (${found.forge}, format ${found.format}; this one knows ${formatNumber})`, { hint: 'install that version of forge or a later one' });
}

async function refuseOtherFile(path: string): Promise<void> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new ForgeError('not-found', `${path} cannot be read: ${error.message}`, { cause: error });
  });
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    if (buffer.toString('hex') !== zstdMagic) throw notBackup(path);
  } finally {
    await file.close();
  }
}

const notBackup = (path: string): ForgeError => new ForgeError('invalid', `${path} is no backup of forge`, { hint: 'forge backup --to FILE makes one' });

const notWhole = (path: string, why: string, cause?: unknown): ForgeError =>
  new ForgeError('invalid', `${path} is cut off or damaged (${why}): nothing was restored from it`, { hint: 'copy it again from where it was made, and compare: sha256sum', cause });
