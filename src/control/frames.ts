/**
 * The protocol of forge's unix sockets, shared by the git hook, the OpenSSH relay and the local command line.
 * A frame is one byte of type, four bytes of payload length (big endian) and the payload. The client speaks first,
 * with `hello`; the server ends with `exit`. Imports nothing: the hook and the relay start in milliseconds.
 */

export const frameTypes = {
  /** client → server, JSON, once and first. */
  hello: 1,
  /** client → server, bytes; never more than the credit that the server gave. */
  stdin: 2,
  /** client → server, empty: no more stdin. */
  stdinEnd: 3,
  /** client → server, JSON `{columns, rows}`. */
  resize: 4,
  /** server → client, bytes. */
  stdout: 5,
  /** server → client, bytes. */
  stderr: 6,
  /** server → client, JSON `{status}`, last. */
  exit: 7,
  /** server → client, u32: so many more bytes of stdin may be sent. */
  credit: 8,
  /** Both ways, JSON: what a kind of client and its server say to each other beside the streams. */
  message: 9,
} as const;

export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

/** Bytes of stdin that may be under way. A window instead of a paused socket: a client that leaves is noticed even while nobody reads its stdin. */
export const stdinWindowBytes = 512 * 1024;

/** Largest payload of a data frame; longer writes are split. */
export const maxDataBytes = 64 * 1024;

/** Largest hello: a push may update many refs. */
export const maxHelloBytes = 8 * 1024 * 1024;

const maxJsonBytes = 64 * 1024;

const limits: ReadonlyMap<number, number> = new Map([
  [frameTypes.hello, maxHelloBytes],
  [frameTypes.stdin, maxDataBytes],
  [frameTypes.stdinEnd, 0],
  [frameTypes.resize, maxJsonBytes],
  [frameTypes.stdout, maxDataBytes],
  [frameTypes.stderr, maxDataBytes],
  [frameTypes.exit, maxJsonBytes],
  [frameTypes.credit, 4],
  [frameTypes.message, maxJsonBytes],
]);

export interface Frame {
  readonly type: FrameType;
  readonly payload: Buffer;
}

export const headerBytes = 5;

/** The five bytes before a payload. */
export function encodeHeader(type: FrameType, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt8(type, 0);
  header.writeUInt32BE(length, 1);
  return header;
}

/** A whole frame with a JSON payload. */
export function encodeJson(type: FrameType, value: unknown): Buffer {
  const payload = Buffer.from(JSON.stringify(value));
  return Buffer.concat([encodeHeader(type, payload.length), payload]);
}

/** A whole `credit` frame. */
export function encodeCredit(bytes: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(bytes);
  return Buffer.concat([encodeHeader(frameTypes.credit, 4), payload]);
}

/**
 * Cuts a byte stream into frames. Buffers at most one frame beyond the chunk it was given.
 * Throws on an unknown type or a payload over its type's limit; the connection is then of no more use.
 */
export function createDecoder(): (chunk: Buffer) => Frame[] {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let neededBytes = headerBytes;
  return (chunk) => {
    pending.push(chunk);
    pendingBytes += chunk.length;
    if (pendingBytes < neededBytes) return [];
    const buffer = pending.length === 1 ? chunk : Buffer.concat(pending, pendingBytes);
    const frames: Frame[] = [];
    let offset = 0;
    neededBytes = headerBytes;
    while (buffer.length - offset >= headerBytes) {
      const type = buffer.readUInt8(offset);
      const length = buffer.readUInt32BE(offset + 1);
      const limit = limits.get(type);
      if (limit === undefined) throw new Error(`unknown frame type ${type}`);
      if (length > limit) throw new Error(`frame of type ${type} is ${length} bytes long, at most ${limit} are taken`);
      if (buffer.length - offset < headerBytes + length) {
        neededBytes = headerBytes + length;
        break;
      }
      frames.push({ type: type as FrameType, payload: buffer.subarray(offset + headerBytes, offset + headerBytes + length) });
      offset += headerBytes + length;
    }
    pending = offset === buffer.length ? [] : [buffer.subarray(offset)];
    pendingBytes = buffer.length - offset;
    return frames;
  };
}
