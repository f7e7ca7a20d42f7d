import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHash, randomBytes } from 'node:crypto';
import { eventually, exchangeBytes, fetchText, openStage, rawClient, route, type Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage({ responseTimeoutMs: 600 });
});
afterEach(() => stage.close());

const head = (path: string, ...lines: string[]): string => [`GET ${path} HTTP/1.1`, 'Host: a.test', ...lines, '', ''].join('\r\n');
const close = 'Connection: close';

describe('bodies stream', () => {
  test('a response arrives piece by piece, as the app writes it', async () => {
    let next = (): void => undefined;
    const app = await stage.app('web.1@v1', (_request, response) => {
      response.write('one');
      next = () => response.end('two');
    });
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.send(head('/', close));
    await client.until((text) => text.includes('one'));
    expect(client.text).not.toContain('two');
    next();
    expect(await client.untilClosed()).toMatch(/two\r\n0\r\n\r\n$/);
  });

  test('a head without a body yet is not held back', async () => {
    const app = await stage.app('web.1@v1', (_request, response) => {
      response.writeHead(200, { 'Content-Length': '5', 'Content-Type': 'text/event-stream' });
      response.flushHeaders();
    });
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.send(head('/'));
    await client.until((text) => text.includes('\r\n\r\n'));
  });

  test('large bodies pass both ways unharmed', async () => {
    const app = await stage.app('web.1@v1', (request, response) => request.pipe(response));
    await stage.serve([route('a.test', app)]);
    const sent = randomBytes(20_000_000);
    const { body } = await fetchText(stage.port, '/', { method: 'POST', body: sent });
    expect(createHash('sha256').update(body, 'latin1').digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'));
  });

  test('a client that does not read stops the app from writing, and the other way round', async () => {
    let written = 0;
    const app = await stage.app('web.1@v1', (_request, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (written < 300_000_000) {
          written += chunk.length;
          if (!response.write(chunk)) return;
        }
      };
      response.on('drain', more);
      more();
    });
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.socket.pause();
    client.send(head('/'));
    let before = -1;
    await eventually(async () => {
      const isSame = before === written && written > 0;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return isSame;
    });
    expect(written).toBeLessThan(100_000_000);
    client.socket.destroy();
  });

  test('Expect: 100-continue is answered when an app will take the body, and not otherwise', async () => {
    const app = await stage.app('web.1@v1', (request, response) => {
      expect(request.headers.expect).toBeUndefined();
      request.pipe(response);
    });
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.send('PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n');
    await client.until((text) => text === 'HTTP/1.1 100 Continue\r\n\r\n');
    client.send('body');
    expect(await client.untilClosed()).toContain('body');
    const refused = await exchangeBytes(stage.port, 'PUT / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
    expect(refused).toMatch(/^HTTP\/1.1 404 /);
  });

  test('trailers of a response arrive', async () => {
    const app = await stage.app('web.1@v1', (_request, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' });
      response.write('data');
      response.addTrailers({ 'X-Sum': '42', 'Set-Cookie': 'late' });
      response.end();
    });
    await stage.serve([route('a.test', app)]);
    expect(await exchangeBytes(stage.port, head('/', close))).toMatch(/4\r\ndata\r\n0\r\nX-Sum: 42\r\n\r\n$/);
  });

  test('an answer before the body was read arrives, and the connection serves the next request', async () => {
    const app = await stage.app('web.1@v1', (request, response) => {
      if (request.url === '/upload') response.writeHead(413).end('too much');
      else response.end('next');
    });
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    const size = 3_000_000;
    client.send(`POST /upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${size}\r\n\r\n`);
    client.send(Buffer.alloc(size, 'x'));
    client.send(head('/next', close));
    const answer = await client.untilClosed();
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toMatch(/next$/);
  });
});

describe('responses without a body', () => {
  test.each([['HEAD', 200], ['GET', 204], ['GET', 304]] as const)('%s with %d keeps its head and has no body', async (method, status) => {
    const app = await stage.app('web.1@v1', (_request, response) => {
      response.writeHead(status, status === 204 ? {} : { 'Content-Length': '1234', ETag: '"x"' });
      response.end();
    });
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.send(`${method} / HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    await client.until((text) => text.endsWith('\r\n\r\n'));
    client.send(`${method} / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`);
    const answer = await client.untilClosed();
    expect(answer.match(/^HTTP\/1\.1/gm)).toHaveLength(2);
    expect(answer.includes('content-length: 1234')).toBe(status !== 204);
    expect(answer).not.toContain('Transfer-Encoding');
  });

  test('a response until the end of the connection is complete, in HTTP/1.0 too', async () => {
    const app = await stage.bytesApp('web.1@v1', (socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nall of it'));
    });
    await stage.serve([route('a.test', app)]);
    expect(await exchangeBytes(stage.port, head('/', close))).toMatch(/9\r\nall of it\r\n0\r\n\r\n$/);
    expect(await exchangeBytes(stage.port, 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n')).toMatch(/\r\n\r\nall of it$/);
  });
});

describe('when one side leaves', () => {
  test('a client that leaves ends the request at the app', async () => {
    const left: string[] = [];
    const app = await stage.app('web.1@v1', (request, response) => {
      response.on('close', () => left.push(request.url ?? ''));
      if (request.url === '/streaming') response.write('begun');
    });
    await stage.serve([route('a.test', app)]);
    for (const path of ['/waiting', '/streaming']) {
      const client = rawClient(stage.port);
      client.send(head(path));
      if (path === '/streaming') await client.until((text) => text.includes('begun'));
      else await eventually(() => app.server.listening && connectionsOf(app.server).then((count) => count > 0));
      client.socket.destroy();
      await eventually(() => left.includes(path));
    }
  });

  test('a client that leaves ends its pipelined requests too', async () => {
    const [open, left] = [new Set<string>(), new Set<string>()];
    const app = await stage.app('web.1@v1', (request, response) => {
      open.add(request.url ?? '');
      response.on('close', () => left.add(request.url ?? ''));
    });
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.send(head('/1') + head('/2') + head('/3'));
    await eventually(() => open.size === 3);
    client.socket.destroy();
    await eventually(() => left.size === 3);
  });

  test('a client that leaves in the middle of an upload never gives the app a whole request', async () => {
    const outcomes: string[] = [];
    const app = await stage.app('web.1@v1', (request) => {
      request.on('end', () => outcomes.push('complete'));
      request.on('aborted', () => outcomes.push('aborted'));
      request.resume();
    });
    await stage.serve([route('a.test', app)]);
    for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      const client = rawClient(stage.port);
      client.send(`POST / HTTP/1.1\r\nHost: a.test\r\n${framing}\r\n\r\n${framing.startsWith('T') ? '5\r\nhello\r\n' : 'hello'}`);
      await eventually(() => connectionsOf(app.server).then((count) => count > 0));
      client.socket.destroy();
      await eventually(() => connectionsOf(app.server).then((count) => count === 0));
    }
    expect(outcomes.filter((outcome) => outcome === 'complete')).toEqual([]);
  });

  test.each([
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'],
  ])('a response %s that breaks off looks broken off to the client', async (_name, bytes) => {
    const app = await stage.bytesApp('web.1@v1', (socket) => {
      socket.once('data', () => socket.end(bytes));
    });
    await stage.serve([route('a.test', app)]);
    for (const version of ['1.1', '1.0']) {
      const client = rawClient(stage.port);
      client.send(`GET / HTTP/${version}\r\nHost: a.test\r\n\r\n`);
      const answer = await client.untilClosed();
      expect(answer.endsWith('0\r\n\r\n')).toBe(false);
      if (version === '1.0' && bytes.includes('chunked')) expect(client.wasReset).toBe(true);
    }
  });

  test.each([
    ['closes without a word', ''],
    ['speaks something else', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['declares two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy'],
    ['declares a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['puts a line break into a header', 'HTTP/1.1 200 OK\r\nX-A: b\n\tc\r\nContent-Length: 0\r\n\r\n'],
  ])('an app that %s is a 502', async (_name, bytes) => {
    const app = await stage.bytesApp('web.1@v1', (socket) => {
      socket.once('data', () => socket.end(bytes));
    });
    await stage.serve([route('a.test', app)]);
    const answer = await exchangeBytes(stage.port, head('/', close));
    expect(answer).toMatch(/^HTTP\/1.1 502 /);
    expect(answer).toMatch(/X-Request-Id: /);
  });
});

function connectionsOf(server: { getConnections(callback: (error: Error | null, count: number) => void): unknown }): Promise<number> {
  return new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));
}
