/**
 * Receives an untrusted tar (git archive's, a packed folder's; plain or gzip) and stores it as a plain tar that every
 * consumer takes: first entry `./` (Docker 20.10 takes a leading pax header for the Dockerfile), pax only for long or
 * non-ASCII names. Nothing is ever extracted on this machine.
 */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract as tarExtract, pack as tarPack, type Extract, type Pack } from 'tar-stream';
import type { Source } from '../domain.ts';
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import { isGzip } from '../is-gzip.ts';
import { createTarEnd } from '../tar-end.ts';
import { untilAborted } from '../wait.ts';
import { addTarEntry, type TarEntry, type TarHeader } from './rewrite-tar.ts';
import { createSourceContents, type SourceContents, type SourceLimits } from './source-contents.ts';
import { readEntry, type SourceEntry } from './source-entry.ts';

/** Files up to this size pass through memory whole, which is several times faster than a stream each; so do those that forge reads. */
const wholeBytes = 256 * 1024;
/** gzip can reach 1032:1; source code stays below 20:1. Looked at once this much has come out. */
const maxRatio = 200;
const ratioCheckedFromBytes = 16 * 1024 * 1024;

export interface ReceiveSourceOptions {
  /** Where the tar is written; replaced when it exists, removed on failure. */
  readonly path: string;
  readonly limits: SourceLimits;
  readonly signal: AbortSignal;
}

/**
 * Checks while it streams; memory is bounded by the number of paths. Throws `invalid` naming the entry that may not be
 * part of a source or the limit that it exceeds, `canceled` after an abort.
 */
export async function receiveSource(stream: Readable, options: ReceiveSourceOptions): Promise<Source> {
  const { path, limits, signal } = options;
  // Its errors arrive through the pipelines below; one that comes after them must not end the process.
  stream.on('error', () => undefined);
  try {
    const contents = createSourceContents(limits);
    await rewrite(stream, { path, contents, rawLimitBytes: 2 * limits.maxBytes + 64 * 1024 * 1024, signal });
    return { tarPath: path, ...contents.finish() };
  } catch (error) {
    stream.destroy();
    await rm(path, { force: true });
    throw signal.aborted ? abortError(signal) : asSourceError(error);
  }
}

interface Rewrite {
  readonly path: string;
  readonly contents: SourceContents;
  readonly rawLimitBytes: number;
  readonly signal: AbortSignal;
}

async function rewrite(stream: Readable, { path, contents, rawLimitBytes, signal }: Rewrite): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const extract = tarExtract();
  const pack = tarPack();
  const meter = createMeter(rawLimitBytes);
  const input = (await isGzip(stream, signal))
    ? pipeline(stream, meter.compressed, createGunzip(), meter.plain, extract, { signal: either })
    : pipeline(stream, meter.plain, extract, { signal: either });
  // An archive reader that was destroyed before it is asked never answers, so the copy is not waited for past a failure.
  const copy = untilAborted(copyEntries(extract, pack, contents), failed.signal);
  const parts = [input, copy, pipeline(pack, createWriteStream(path, { mode: 0o600 }), { signal: either })];
  // Whichever part fails first is the reason; it ends the other two, whose errors only follow from it.
  let reason: unknown;
  const settle = (error: unknown) => {
    if (failed.signal.aborted) return;
    reason = error;
    failed.abort(error);
    extract.destroy();
    pack.destroy();
  };
  await Promise.all(parts.map((part) => part.catch(settle)));
  if (failed.signal.aborted) throw reason;
}

async function copyEntries(extract: Extract, pack: Pack, contents: SourceContents): Promise<void> {
  await addTarEntry(pack, { name: './', type: 'directory', mode: 0o755, mtime: new Date(0) });
  for await (const body of extract) {
    const entry = readEntry(body.header);
    if (entry && contents.add(entry)) await copyEntry(body, { pack, entry, contents });
    else body.resume();
  }
  pack.finalize();
}

interface Copy {
  readonly pack: Pack;
  readonly entry: SourceEntry;
  readonly contents: SourceContents;
}

async function copyEntry(body: TarEntry, { pack, entry, contents }: Copy): Promise<void> {
  const mtime = body.header.mtime ?? new Date(0);
  if (entry.type !== 'file' || entry.sizeBytes === 0) {
    body.resume();
    contents.read(entry, Buffer.alloc(0));
    return await addTarEntry(pack, headerOf(entry, mtime));
  }
  if (entry.sizeBytes <= wholeBytes || contents.wants(entry)) {
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk as Buffer);
    const bytes = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
    contents.read(entry, bytes);
    return await addTarEntry(pack, headerOf(entry, mtime), bytes);
  }
  const sink = pack.entry(headerOf(entry, mtime));
  await pipeline(body, sink);
}

const headerOf = (entry: SourceEntry, mtime: Date): TarHeader => ({
  name: entry.type === 'directory' ? `${entry.name}/` : entry.name,
  type: entry.type,
  mode: entry.mode,
  mtime,
  size: entry.sizeBytes,
  ...(entry.target === '' ? {} : { linkname: entry.target }),
});

/** Counts both sides of a decompression, and that the archive has its end marker: without it the sender broke off. */
function createMeter(rawLimitBytes: number): { compressed: Transform; plain: Transform } {
  let compressedBytes: number | undefined;
  let plainBytes = 0;
  const end = createTarEnd();
  const compressed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      compressedBytes = (compressedBytes ?? 0) + chunk.length;
      done(null, chunk);
    },
  });
  const plain = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      plainBytes += chunk.length;
      end.add(chunk);
      if (plainBytes > rawLimitBytes) return done(tooLarge(rawLimitBytes));
      const isBomb = compressedBytes !== undefined && plainBytes > ratioCheckedFromBytes && plainBytes > maxRatio * compressedBytes;
      done(isBomb ? new ForgeError('invalid', `the source was refused: it unpacks to more than ${maxRatio} times its size`) : null, chunk);
    },
    flush: (done) => done(end.isReached() ? null : new Error('it ends before its end marker')),
  });
  return { compressed, plain };
}

const tooLarge = (bytes: number): ForgeError => new ForgeError('invalid', `the source was refused: the archive is larger than ${bytes} bytes`);

function asSourceError(error: unknown): ForgeError {
  if (isForgeError(error)) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return new ForgeError('exhausted', 'the disk is full: the source could not be stored', { cause: error });
  if (code === 'EACCES' || code === 'ENOENT') return new ForgeError('internal', `the source could not be stored: ${message}`, { cause: error });
  return new ForgeError('invalid', `the source is no archive that forge can read: ${message}`, {
    hint: 'expected a tar or tar.gz, as git archive makes it',
    cause: error,
  });
}
