/** An untrusted tar on its way into a volume: checked entry by entry while it streams, nothing of it held but the entry at hand. */
import { once } from 'node:events';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract as tarExtract, pack as tarPack, type Extract, type Pack } from 'tar-stream';
import { addTarEntry } from '../build/rewrite-tar.ts';
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import { untilAborted } from '../wait.ts';
import { readVolumeEntry } from './volume-entry.ts';

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

/** `input` is a tar, plain or gzip. Throws nothing itself: see `done`. */
export function checkVolumeArchive(input: Readable, signal: AbortSignal): VolumeArchive {
  const pack = tarPack();
  const archive = Readable.from(pack);
  const done = rewrite(input, pack, signal).catch((error: unknown) => {
    const reason = signal.aborted ? abortError(signal) : asArchiveError(error);
    pack.destroy(reason);
    throw reason;
  });
  done.catch(() => undefined);
  return { archive, done };
}

async function rewrite(input: Readable, pack: Pack, signal: AbortSignal): Promise<VolumeContents> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const extract = tarExtract();
  const unpacked = (await isGzip(input, signal)) ? pipeline(input, createGunzip(), createEndCheck(), extract, { signal: either }) : pipeline(input, createEndCheck(), extract, { signal: either });
  let reason: unknown;
  const settle = (error: unknown): undefined => {
    if (!failed.signal.aborted) reason = error;
    failed.abort(error);
    extract.destroy();
    return undefined;
  };
  const copied = untilAborted(copyEntries(extract, pack, either), either);
  const [contents] = await Promise.all([copied.catch(settle), unpacked.catch(settle)]);
  if (failed.signal.aborted || !contents) throw reason;
  // Only now: an archive that breaks off must not look whole to who unpacks it.
  pack.finalize();
  return contents;
}

async function copyEntries(extract: Extract, pack: Pack, signal: AbortSignal): Promise<VolumeContents> {
  let entries = 0;
  let bytes = 0;
  for await (const body of extract) {
    const entry = readVolumeEntry(body.header);
    entries += 1;
    bytes += entry.size;
    if (entries > maxEntries) throw new ForgeError('invalid', `the backup was refused: it has more than ${maxEntries} entries`);
    if (entry.type === 'file' && entry.size > 0) await pipeline(body, pack.entry(entry), { signal });
    else {
      body.resume();
      await addTarEntry(pack, entry);
    }
  }
  return { entries, bytes };
}

/** Without its end marker the sender broke off. */
function createEndCheck(): Transform {
  let tail: Buffer = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      tail = chunk.length >= 512 ? chunk.subarray(-512) : Buffer.concat([tail, chunk]).subarray(-512);
      done(null, chunk);
    },
    flush: (done) => done(tail.length === 512 && tail.every((byte) => byte === 0) ? null : new Error('it ends before its end marker')),
  });
}

async function isGzip(stream: Readable, signal: AbortSignal): Promise<boolean> {
  while (!stream.readableEnded && !stream.destroyed) {
    const head = stream.read(2) as Buffer | null;
    if (head) {
      stream.unshift(head);
      return head[0] === 0x1f && head[1] === 0x8b;
    }
    await once(stream, 'readable', { signal });
    if (stream.readableLength === 0) return false;
  }
  return false;
}

function asArchiveError(error: unknown): ForgeError {
  if (isForgeError(error)) return error;
  return new ForgeError('invalid', `the backup is no archive that forge can read: ${(error as Error).message}`, { hint: 'expected what volumes:backup printed: a tar or tar.gz', cause: error });
}
