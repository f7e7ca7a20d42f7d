/**
 * The engine's multiplexed stream: 8 bytes of head (stream number, three zeros, length as u32 big endian), then the payload.
 * https://docs.docker.com/engine/api/v1.41/#tag/Container/operation/ContainerAttach
 */

export interface Frame {
  readonly stream: 'stdout' | 'stderr';
  readonly payload: Buffer;
}

const headBytes = 8;

/** The whole frames of a complete answer. */
export function readFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  let offset = 0;
  while (offset + headBytes <= bytes.length) {
    const end = offset + headBytes + bytes.readUInt32BE(offset + 4);
    frames.push({ stream: streamOf(bytes, offset), payload: bytes.subarray(offset + headBytes, end) });
    offset = end;
  }
  return frames;
}

/** Parts of frames as they come in, none kept longer than its chunk: a frame may arrive in several parts. */
export async function* frameParts(chunks: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let head = Buffer.alloc(0);
  let stream: Frame['stream'] = 'stdout';
  let remaining = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (rest.length > 0) {
      if (remaining > 0) {
        const payload = rest.subarray(0, remaining);
        remaining -= payload.length;
        rest = rest.subarray(payload.length);
        yield { stream, payload };
        continue;
      }
      const missing = headBytes - head.length;
      head = Buffer.concat([head, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (head.length < headBytes) continue;
      stream = streamOf(head, 0);
      remaining = head.readUInt32BE(4);
      head = Buffer.alloc(0);
    }
  }
}

const streamOf = (bytes: Buffer, offset: number): Frame['stream'] => (bytes[offset] === 2 ? 'stderr' : 'stdout');
