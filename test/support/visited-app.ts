/**
 * An app for visitors who notice everything: `/small?n=7` answers 1 KB that names the release and the number, `/stream?seconds=20`
 * sends a numbered event a second, `/ws` echoes WebSocket messages. It ends at once when it is told to: whatever it
 * still does then is lost, and seen.
 */
import { dockerfileApp } from './forge.ts';

/** Length of the small answer. */
export const smallBytes = 1024;

const server = (text: string): string => `
const { createHash } = require('node:crypto');
const { FORGE_RELEASE: release, COLOR: color = 'none', PORT } = process.env;
let startMs;
const server = require('node:http').createServer((request, response) => {
  const url = new URL(request.url, 'http://app');
  if (url.pathname === '/small') return response.end((release + ' ' + url.searchParams.get('n') + ' ').padEnd(${smallBytes}, '.'));
  if (url.pathname === '/facts') return response.end(JSON.stringify({ release, color, startMs, text: ${JSON.stringify(text)} }));
  const seconds = Number(url.searchParams.get('seconds'));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('data: 0\\n\\n');
  let sent = 0;
  const timer = setInterval(() => {
    response.write('data: ' + ++sent + '\\n\\n');
    if (sent >= seconds) { clearInterval(timer); response.end('event: end\\n\\n'); }
  }, 1000);
  response.on('close', () => clearInterval(timer));
});
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n');
  socket.on('error', () => socket.destroy());
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    // Short masked frames are all that comes.
    while (bytes.length >= 6 && bytes.length >= 6 + (bytes[1] & 0x7f)) {
      const length = bytes[1] & 0x7f;
      const payload = Buffer.from(bytes.subarray(6, 6 + length).map((byte, at) => byte ^ bytes[2 + (at % 4)]));
      const isClose = (bytes[0] & 0x0f) === 8;
      socket.write(Buffer.concat([Buffer.from([bytes[0], length]), payload]));
      bytes = bytes.subarray(6 + length);
      if (isClose) socket.end();
    }
  });
});
server.listen(PORT, () => { startMs = performance.now(); });
process.on('SIGTERM', () => process.exit(0));
`;

/** Files of the app; `text` makes one deploy differ from another. */
export const visitedApp = (text: string): Record<string, string> => dockerfileApp(text, server(text));

/** What `/facts` answers. */
export interface AppFacts {
  /** `v7` */
  readonly release: string;
  /** Config variable COLOR. */
  readonly color: string;
  /** From the start of the process until it listened. */
  readonly startMs: number;
  readonly text: string;
}
