/**
 * The engine's log stream: frames of an 8-byte header (stream, 0, 0, 0, size as u32be) and a payload that with
 * `timestamps` begins with RFC 3339 nanoseconds and a space. A line over 16 KiB comes as several frames with one
 * timestamp; only the last ends with a newline. https://docs.docker.com/engine/api/ (Attach to a container)
 */

export interface LogFrame {
  readonly stream: 'stdout' | 'stderr';
  /** As the engine wrote it, such as `2026-11-21T07:30:00.123456789Z`. */
  readonly at: string;
  /** Without its newline. */
  readonly text: Buffer;
  /** Whether the line goes on in the next frame of this stream. */
  readonly isPartial: boolean;
}

const headerBytes = 8;
const newline = 0x0a;
const space = 0x20;

/** A parser that takes chunks as they come and returns the frames that are complete. */
export function createFrameParser(): { push(chunk: Buffer): LogFrame[] } {
  let rest: Buffer = Buffer.alloc(0);
  const push = (chunk: Buffer): LogFrame[] => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames: LogFrame[] = [];
    let offset = 0;
    while (rest.length - offset >= headerBytes) {
      const end = offset + headerBytes + rest.readUInt32BE(offset + 4);
      if (rest.length < end) break;
      frames.push(frameOf(rest[offset] === 2 ? 'stderr' : 'stdout', rest.subarray(offset + headerBytes, end)));
      offset = end;
    }
    // A copy, so that a small remainder does not keep a large chunk alive.
    rest = Buffer.from(rest.subarray(offset));
    return frames;
  };
  return { push };
}

function frameOf(stream: LogFrame['stream'], payload: Buffer): LogFrame {
  const gap = payload.indexOf(space);
  const isPartial = payload.at(-1) !== newline;
  const text = Buffer.from(payload.subarray(gap + 1, isPartial ? undefined : -1));
  return { stream, at: payload.toString('latin1', 0, Math.max(gap, 0)), text, isPartial };
}
