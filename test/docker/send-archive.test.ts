import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { importImage } from '../../src/docker/local-image.ts';
import { loadImages } from '../../src/docker/saved-images.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

const chunk = Buffer.alloc(64 * 1024);
const signal = new AbortController().signal;
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** An engine that answers once it has read so many bytes, and reads no more then. */
async function engine(answer: string, afterBytes: number) {
  const socketPath = join(temporaryDirectory(), 'engine.sock');
  const server = createServer((request, response) => {
    let bytes = 0;
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes < afterBytes) return;
      request.pause();
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(`${answer}\n`);
    });
  });
  servers.push(server);
  await once(server.listen(socketPath), 'listening');
  return connectDocker(socketPath);
}

/** An archive of so many chunks; tells how many were taken. */
function archiveOf(chunks: number) {
  const counts = { taken: 0 };
  const archive = new Readable({ read: () => void archive.push(counts.taken < chunks ? (counts.taken++, chunk) : null) });
  return { archive, counts };
}

test('what the engine says went wrong while it reads ends the sending, and is told', async () => {
  const docker = await engine('{"error":"no space left on device"}', 1);
  const { archive, counts } = archiveOf(10_000);
  await expect(loadImages(docker, archive, signal)).rejects.toThrow('could not load images: no space left on device');
  await expect.poll(() => archive.destroyed).toBe(true);
  expect(counts.taken).toBeLessThan(1_000);
  await expect(importImage(docker, { archive: archiveOf(10_000).archive, what: 'a base', signal })).rejects.toThrow('could not import a base: no space left on device');
});

test('what follows the end that the engine saw is taken all the same', async () => {
  const docker = await engine('{"stream":"Loaded image"}', 1);
  const { archive, counts } = archiveOf(200);
  await loadImages(docker, archive, signal);
  expect(counts.taken).toBe(200);
});

test('an archive that breaks off is told, and no answer is waited for', async () => {
  const docker = await engine('{"stream":"Loaded image"}', Infinity);
  const archive = Readable.from((function* () {
    yield chunk;
    throw new Error('the file ends before its end');
  })());
  await expect(loadImages(docker, archive, signal)).rejects.toThrow('the file ends before its end');
});
