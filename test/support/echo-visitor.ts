/** One WebSocket to an echoing server: speaks every second, checks every echo, and tells how it was closed. */
import { request } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Echo {
  /** Rejects when it ends without a close frame or an echo is wrong. */
  readonly ended: Promise<{ readonly code: number; readonly echoes: number; readonly isOurs: boolean }>;
  sayGoodbye(): void;
}

const speakEveryMs = 1_000;
const openTimeoutMs = 30_000;
const textFrame = 0x81;
const closeFrame = 0x88;
const goodbye = 1000;

/** Rejects when the upgrade is refused. */
export async function openEcho({ port, host, path, name }: { readonly port: number; readonly host: string; readonly path: string; readonly name: string }): Promise<Echo> {
  const { promise, resolve, reject } = Promise.withResolvers<Echo>();
  const asked = request({
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    headers: { host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' },
  });
  asked.on('upgrade', (_response, socket: Duplex, rest: Buffer) => resolve(speak(socket, rest, name)));
  asked.on('response', (response) => {
    response.resume();
    reject(new Error(`${name} was refused: ${response.statusCode}`));
  });
  asked.on('error', (error) => reject(new Error(`${name} could not connect: ${error.message}`)));
  asked.setTimeout(openTimeoutMs, () => asked.destroy(new Error('no answer in time')));
  asked.end();
  return await promise;
}

function speak(socket: Duplex, rest: Buffer, name: string): Echo {
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<Echo['ended']>>();
  let [said, heard] = [0, 0];
  let isOurs = false;
  let bytes = rest;
  const say = (): void => void socket.write(frame(textFrame, Buffer.from(`${name} ${said++}`)));
  const timer = setInterval(say, speakEveryMs);
  const end = (): void => {
    clearInterval(timer);
    socket.end();
  };
  const read = (): void => {
    // Short unmasked frames are all that comes.
    while (bytes.length >= 2 && bytes.length >= 2 + (bytes[1] as number)) {
      const payload = bytes.subarray(2, 2 + (bytes[1] as number));
      const kind = bytes[0];
      bytes = bytes.subarray(2 + payload.length);
      if (kind === closeFrame) {
        if (!isOurs) socket.write(frame(closeFrame, payload));
        resolve({ code: payload.readUInt16BE(), echoes: heard, isOurs });
        return end();
      }
      if (payload.toString() !== `${name} ${heard++}`) reject(new Error(`${name} got a wrong echo: ${payload.toString()} instead of ${heard - 1}`));
    }
  };
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    read();
  });
  socket.on('error', (error) => reject(new Error(`${name} failed: ${error.message}`)));
  socket.on('close', () => {
    clearInterval(timer);
    reject(new Error(`${name} ended without a close frame after ${heard} echoes`));
  });
  say();
  read();
  const sayGoodbye = (): void => {
    isOurs = true;
    clearInterval(timer);
    const code = Buffer.alloc(2);
    code.writeUInt16BE(goodbye);
    socket.write(frame(closeFrame, code));
  };
  return { ended: promise, sayGoodbye };
}

/** A short frame as clients send it, masked with zeros. */
const frame = (kind: number, payload: Buffer): Buffer => Buffer.concat([Buffer.from([kind, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
