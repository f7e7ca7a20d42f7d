/** Writes the tar of a backup to a stream, one entry after the other, and remembers their checksums. */
import { createHash } from 'node:crypto';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import tar from 'tar-stream';
import { untilAborted } from '../wait.ts';
import type { BackupContents } from './format.ts';

/** Of a stream whose length nobody knows before its end: a tar says how long an entry is before it comes. */
const pieceBytes = 8 * 1024 * 1024;
const mode = 0o600;

export interface BackupWriter {
  /** Exactly `bytes` of the content: a file that grows meanwhile is cut off there, one that shrinks is an error. */
  file(path: string, content: Uint8Array | AsyncIterable<Buffer>, bytes: number): Promise<void>;
  folder(path: string): Promise<void>;
  /** `path/000001` and so on. */
  pieces(path: string, content: AsyncIterable<Buffer>): Promise<void>;
  readonly entries: BackupContents['entries'];
  /** Bytes of all content so far, uncompressed. */
  readonly bytes: number;
}

/** Runs `task` with a writer; when it returns, everything was handed to `output`, which is not ended. Fails when `output` does. */
export async function writeEntries(output: Writable, signal: AbortSignal, task: (writer: BackupWriter) => Promise<void>): Promise<void> {
  const pack = tar.pack();
  const broken = new AbortController();
  const compress = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_compressionLevel]: 3 } });
  const sent = pipeline(Readable.from(pack), compress, output, { signal, end: false });
  // Nobody reads any more: an entry that waits for its reader would wait for ever.
  sent.catch((error: unknown) => broken.abort(error));
  try {
    await task(createWriter(pack, AbortSignal.any([signal, broken.signal])));
    pack.finalize();
  } catch (error) {
    pack.destroy(error as Error);
    await sent.catch(() => undefined);
    throw error;
  }
  await sent;
}

function createWriter(pack: tar.Pack, signal: AbortSignal): BackupWriter {
  const entries: Record<string, { sha256: string; bytes: number }> = {};
  let total = 0;

  const file = async (path: string, content: Uint8Array | AsyncIterable<Buffer>, bytes: number): Promise<void> => {
    const hash = createHash('sha256');
    const sink = pack.entry({ name: path, mode, size: bytes });
    const hashed = async function* () {
      for await (const chunk of upTo(bytes, content instanceof Uint8Array ? [content] : content)) {
        hash.update(chunk);
        yield chunk;
      }
    };
    await untilAborted(pipeline(hashed, sink, { signal }), signal);
    entries[path] = { sha256: hash.digest('hex'), bytes };
    total += bytes;
  };

  return {
    file,
    folder: async (path) => {
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      pack.entry({ name: `${path}/`, type: 'directory', mode: 0o700 }, (error) => (error ? reject(error) : resolve(undefined)));
      await untilAborted(promise, signal);
    },
    pieces: async (path, content) => {
      let number = 0;
      for await (const piece of inPieces(content)) await file(`${path}/${String((number += 1)).padStart(6, '0')}`, piece, piece.length);
    },
    entries,
    get bytes() {
      return total;
    },
  };
}

async function* upTo(bytes: number, content: Iterable<Uint8Array> | AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of content) {
    if (chunk.length > 0 && left > 0) yield chunk.subarray(0, left);
    left -= Math.min(left, chunk.length);
  }
  if (left > 0) throw new Error(`a file became ${left} bytes shorter while it was read`);
}

async function* inPieces(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of content) {
    chunks.push(chunk);
    length += chunk.length;
    if (length < pieceBytes) continue;
    yield Buffer.concat(chunks);
    chunks = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(chunks);
}
