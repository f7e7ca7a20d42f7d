/** An untrusted tar on its way into a volume: checked entry by entry while it streams, nothing of it held but the entry at hand and where folders and symlinks are. */
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract as tarExtract, pack as tarPack, type Extract, type Pack } from 'tar-stream';
import { addTarEntry } from '../build/rewrite-tar.ts';
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import { isGzip } from '../is-gzip.ts';
import { createTarEnd } from '../tar-end.ts';
import { untilAborted } from '../wait.ts';
import { readVolumeEntry } from './volume-entry.ts';
import { createVolumePlaces } from './volume-places.ts';

export interface VolumeArchive {
  /** What is to be unpacked; fails with the reason when the archive is refused. */
  readonly archive: Readable;
  /** Resolves to what it held when all of it was taken. Rejects with the reason. */
  readonly done: Promise<VolumeContents>;
}

export interface VolumeContents {
  readonly entries: number;
  readonly bytes: number;
}

const maxEntries = 10_000_000;
/** Headers and what fills them up, beside the bytes of the files. */
const maxOverheadBytes = 16 * 1024 ** 3;
/** gzip can reach 1032:1. Files of an app may be mostly zeros, but not so many of them. */
const maxRatio = 200;
const ratioCheckedFromBytes = 1024 ** 3;

/** `input` is a tar, plain or gzip; `maxBytes` are its files together. Throws nothing itself: see `done`. */
export function checkVolumeArchive(input: Readable, { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal }): VolumeArchive {
  const pack = tarPack();
  const archive = Readable.from(pack);
  const done = rewrite(input, { pack, maxBytes, signal }).catch((error: unknown) => {
    const reason = signal.aborted ? abortError(signal) : asArchiveError(error);
    pack.destroy(reason);
    throw reason;
  });
  done.catch(() => undefined);
  return { archive, done };
}

interface Rewrite {
  readonly pack: Pack;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

async function rewrite(input: Readable, { pack, maxBytes, signal }: Rewrite): Promise<VolumeContents> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const extract = tarExtract();
  const meter = createMeter(maxBytes);
  const unpacked = (await isGzip(input, signal))
    ? pipeline(input, meter.compressed, createGunzip(), meter.plain, extract, { signal: either })
    : pipeline(input, meter.plain, extract, { signal: either });
  let reason: unknown;
  const settle = (error: unknown): undefined => {
    if (!failed.signal.aborted) reason = error;
    failed.abort(error);
    extract.destroy();
    return undefined;
  };
  const copied = untilAborted(copyEntries(extract, { pack, maxBytes, signal: either }), either);
  const [contents] = await Promise.all([copied.catch(settle), unpacked.catch(settle)]);
  if (failed.signal.aborted || !contents) throw reason;
  // Only now: an archive that breaks off must not look whole to who unpacks it.
  pack.finalize();
  return contents;
}

async function copyEntries(extract: Extract, { pack, maxBytes, signal }: Rewrite): Promise<VolumeContents> {
  const places = createVolumePlaces();
  let entries = 0;
  let bytes = 0;
  for await (const body of extract) {
    const entry = readVolumeEntry(body.header);
    places.take(entry);
    entries += 1;
    bytes += entry.size;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    if (entries > maxEntries) throw new ForgeError('invalid', `the backup was refused: it has more than ${maxEntries} entries`);
    if (entry.type === 'file' && entry.size > 0) await pipeline(body, pack.entry(entry), { signal });
    else {
      body.resume();
      await addTarEntry(pack, entry);
    }
  }
  return { entries, bytes };
}

/** Counts both sides of a decompression, and that the archive has its end marker: without it the sender broke off. */
function createMeter(maxBytes: number): { readonly compressed: Transform; readonly plain: Transform } {
  let compressedBytes = Infinity;
  let plainBytes = 0;
  const end = createTarEnd();
  const compressed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      compressedBytes = chunk.length + (compressedBytes === Infinity ? 0 : compressedBytes);
      done(null, chunk);
    },
  });
  const plain = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      plainBytes += chunk.length;
      end.add(chunk);
      const isBomb = plainBytes > ratioCheckedFromBytes && plainBytes > maxRatio * compressedBytes;
      done(isBomb ? tooDense() : plainBytes > maxBytes + maxOverheadBytes ? tooLarge(maxBytes) : null, chunk);
    },
    flush: (done) => done(end.isReached() ? null : new Error('it ends before its end marker')),
  });
  return { compressed, plain };
}

const tooLarge = (maxBytes: number): ForgeError => new ForgeError('invalid', `the backup was refused: its files are larger than ${maxBytes} bytes together`, { hint: 'the limit is forge’s setting volumeMaxBytes' });

const tooDense = (): ForgeError =>
  new ForgeError('invalid', `the backup was refused: it unpacks to more than ${maxRatio} times its size`, { hint: 'send it uncompressed: gunzip < data.tar.gz | ssh forge@host volumes:restore APP VOLUME' });

function asArchiveError(error: unknown): ForgeError {
  if (isForgeError(error)) return error;
  return new ForgeError('invalid', `the backup is no archive that forge can read: ${(error as Error).message}`, { hint: 'expected what volumes:backup printed: a tar or tar.gz', cause: error });
}
