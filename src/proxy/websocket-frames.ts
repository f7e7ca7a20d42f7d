/** Where WebSocket frames begin and end in a byte stream (RFC 6455, 5.2): a close frame may only stand between two of them. */

export interface FrameTracker {
  /** Takes the next bytes of the stream; nothing of them is kept. */
  track(chunk: Buffer): void;
  /** Whether the stream stands exactly between two frames. */
  readonly isBetweenFrames: boolean;
}

const longestHeader = 14;

/** Follows one direction of a WebSocket. */
export function createFrameTracker(): FrameTracker {
  const header = Buffer.alloc(longestHeader);
  let headerBytes = 0;
  let payloadLeft = 0;
  return {
    get isBetweenFrames() {
      return headerBytes === 0 && payloadLeft === 0;
    },
    track(chunk) {
      let offset = 0;
      while (offset < chunk.length) {
        if (payloadLeft > 0) {
          const taken = Math.min(payloadLeft, chunk.length - offset);
          payloadLeft -= taken;
          offset += taken;
          continue;
        }
        header[headerBytes] = chunk[offset] as number;
        headerBytes += 1;
        offset += 1;
        if (headerBytes < headerLength(header, headerBytes)) continue;
        payloadLeft = payloadLength(header);
        headerBytes = 0;
      }
    },
  };
}

/** Length of the header as far as its first bytes tell. */
function headerLength(header: Buffer, known: number): number {
  if (known < 2) return 2;
  const second = header[1] as number;
  const extended = (second & 0x7f) === 126 ? 2 : (second & 0x7f) === 127 ? 8 : 0;
  return 2 + extended + ((second & 0x80) === 0 ? 0 : 4);
}

function payloadLength(header: Buffer): number {
  const short = (header[1] as number) & 0x7f;
  if (short === 126) return header.readUInt16BE(2);
  return short === 127 ? Number(header.readBigUInt64BE(2)) : short;
}

/** 1012, "service restart": clients reconnect. */
const serviceRestart = 1012;

/** The close frame that a server sends. */
export function closeFrameToClient(): Buffer {
  return Buffer.from([0x88, 0x02, serviceRestart >> 8, serviceRestart & 0xff]);
}

/** The close frame that a client sends: the same, masked (with zeros, as the mask protects nothing here). */
export function closeFrameToApp(): Buffer {
  return Buffer.from([0x88, 0x82, 0, 0, 0, 0, serviceRestart >> 8, serviceRestart & 0xff]);
}
