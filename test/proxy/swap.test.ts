import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { eventually, openStage, rawClient, route, type Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const head = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`;
const drainTimes = (timeoutMs: number, webSocketGraceMs = 0) => ({ timeoutMs, webSocketGraceMs, signal: AbortSignal.timeout(10_000) });

async function getOnce(agent: Agent): Promise<string> {
  const request = httpRequest({ port: stage.port, path: '/', headers: { host: 'a.test' }, agent });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
  if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${body}`);
  return body;
}

test('fifty swaps under load lose no request, and each is answered by what was live', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const isOver = new AbortController();
  let served = 0;
  const load = Promise.all(Array.from({ length: 16 }, async () => {
    while (!isOver.signal.aborted) {
      await getOnce(agent);
      served += 1;
    }
  }));
  let previous = await stage.app('web.1@v0', (_request, response) => void response.end('v0'));
  await stage.serve([route('a.test', previous)]);
  for (let version = 1; version <= 50; version += 1) {
    const next = await stage.app(`web.1@v${version}`, (_request, response) => void response.end(`v${version}`));
    await stage.serve([route('a.test', next)]);
    expect(await getOnce(agent)).toBe(`v${version}`);
    await stage.client.drained([previous.id], drainTimes(5000));
    await previous.stop();
    previous = next;
  }
  isOver.abort();
  await load.catch((error: unknown) => expect.fail(String(error)));
  agent.destroy();
  expect(served).toBeGreaterThan(200);
});

describe('draining', () => {
  test('waits for a long response, which ends whole, while new requests go to the new target', async () => {
    let finish = (): void => undefined;
    const old = await stage.app('web.1@v1', (_request, response) => {
      response.write('begun ');
      finish = () => response.end('and ended');
    });
    const next = await stage.app('web.1@v2', (_request, response) => void response.end('new'));
    await stage.serve([route('a.test', old)]);
    const client = rawClient(stage.port);
    client.send(head('/'));
    await client.until((text) => text.includes('begun'));
    await stage.serve([route('a.test', next)]);
    let isDrained = false;
    const drained = stage.client.drained([old.id], drainTimes(5000)).then(() => (isDrained = true));
    const other = rawClient(stage.port);
    other.send(head('/'));
    await other.until((text) => text.includes('new'));
    expect(isDrained).toBe(false);
    finish();
    await drained;
    await client.until((text) => text.includes('and ended') && text.endsWith('0\r\n\r\n'));
    client.send(head('/'));
    await client.until((text) => text.endsWith('new'));
    client.socket.destroy();
    other.socket.destroy();
  });

  test('closes idle connections to a target that left the table at once', async () => {
    const old = await stage.app('web.1@v1', (_request, response) => void response.end('old'));
    await stage.serve([route('a.test', old)]);
    const client = rawClient(stage.port);
    client.send(head('/'));
    await client.until((text) => text.endsWith('old'));
    const connections = () => new Promise<number>((resolve) => old.server.getConnections((_error, count) => resolve(count)));
    expect(await connections()).toBe(1);
    await stage.serve([route('a.test')]);
    await stage.client.drained([old.id], drainTimes(1000));
    await eventually(async () => (await connections()) === 0);
    client.socket.destroy();
  });

  test('cuts off at its deadline what still goes on', async () => {
    const old = await stage.app('web.1@v1', (_request, response) => void response.write('endless'));
    await stage.serve([route('a.test', old)]);
    const client = rawClient(stage.port);
    client.send(head('/'));
    await client.until((text) => text.includes('endless'));
    await stage.serve([]);
    const begun = performance.now();
    await stage.client.drained([old.id], drainTimes(1200));
    expect(performance.now() - begun).toBeLessThan(4000);
    expect(await client.untilClosed()).not.toMatch(/0\r\n\r\n$/);
  });

  test('a target with nothing in flight, or an unknown one, is drained at once', async () => {
    await stage.serve([]);
    await stage.client.drained(['web.9@v9'], drainTimes(1000));
  });
});

describe('upgrades', () => {
  const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const upgradeHead = 'GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
  /** An app that accepts the upgrade and gives back every byte. */
  const echo = async (id: string, onOpen: (socket: Duplex) => void = () => undefined) => {
    const app = await stage.app(id, (_request, response) => void response.writeHead(426, { Upgrade: 'websocket' }).end('upgrade, please'));
    app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, rest: Buffer) => {
      const accept = createHash('sha1').update(`${String(request.headers['sec-websocket-key'])}${magic}`).digest('base64');
      socket.on('error', () => undefined);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      if (rest.length > 0) socket.write(rest);
      socket.pipe(socket);
      onOpen(socket);
    });
    return app;
  };
  const masked = (text: string): Buffer => Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);

  test('a WebSocket passes both ways, also what came right behind the head', async () => {
    const app = await echo('web.1@v1');
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.send(Buffer.concat([Buffer.from(upgradeHead), masked('early')]));
    await client.until((text) => text.endsWith('early'));
    expect(client.text).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n/);
    expect(client.text).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    client.send(masked('later'));
    await client.until((text) => text.endsWith('later'));
    client.socket.destroy();
    await eventually(() => new Promise<boolean>((resolve) => app.server.getConnections((_error, count) => resolve(count === 0))));
  });

  test('an answer other than 101 is an ordinary response', async () => {
    const app = await stage.app('web.1@v1', (_request, response) => void response.writeHead(403, { 'X-Why': 'no' }).end('not for you'));
    await stage.serve([route('a.test', app)]);
    const client = rawClient(stage.port);
    client.send(`${upgradeHead}GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    const answer = await client.untilClosed();
    expect(answer).toMatch(/^HTTP\/1.1 403 /);
    expect(answer).toContain('not for you');
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  test('an unreachable app is a 502, an unknown host a 404', async () => {
    const app = await echo('web.1@v1');
    await app.stop();
    await stage.serve([route('a.test', app)]);
    for (const [host, status] of [['a.test', 502], ['b.test', 404]] as const) {
      const client = rawClient(stage.port);
      client.send(upgradeHead.replace('a.test', host));
      expect(await client.untilClosed()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    }
  });

  test('after the grace of a drain both sides get a close frame, between two frames, and the tunnel ends', async () => {
    const fromClient: Buffer[] = [];
    let app!: Duplex;
    const old = await echo('web.1@v1', (socket) => {
      app = socket;
      socket.unpipe(socket);
      socket.on('data', (chunk: Buffer) => fromClient.push(chunk)).resume();
    });
    await stage.serve([route('a.test', old)]);
    const client = rawClient(stage.port);
    client.send(upgradeHead);
    await client.until((text) => text.includes('\r\n\r\n'));
    // Half a frame of 10 bytes: the close frame must wait for the other half.
    app.write(Buffer.from([0x82, 10, 1, 2, 3, 4]));
    await client.until((text) => text.endsWith('\x01\x02\x03\x04'));
    await stage.serve([]);
    const drained = stage.client.drained([old.id], drainTimes(5000, 200));
    await eventually(() => Buffer.concat(fromClient).equals(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4])));
    expect(client.text.endsWith('\x01\x02\x03\x04')).toBe(true);
    app.write(Buffer.from([5, 6, 7, 8, 9, 10]));
    expect(await client.untilClosed()).toMatch(/\x05\x06\x07\x08\x09\x0a\x88\x02\x03\xf4$/);
    await drained;
  });

  test('one whose upgrade was under way when the grace ended gets its close frame too', async () => {
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<Duplex>();
    const old = await stage.app('web.1@v1', () => undefined);
    old.server.on('upgrade', (_request: IncomingMessage, socket: Duplex) => {
      socket.on('error', () => undefined).resume();
      onAsked(socket);
    });
    const other = await echo('web.2@v1');
    await stage.serve([route('a.test', old)]);
    const client = rawClient(stage.port);
    client.send(upgradeHead);
    const socket = await asked;
    await stage.serve([route('a.test', other)]);
    const drained = stage.client.drained([old.id], drainTimes(5000, 0));
    const known = rawClient(stage.port);
    known.send(upgradeHead);
    await known.until((text) => text.includes('\r\n\r\n'));
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    expect(await client.untilClosed()).toMatch(/\x88\x02\x03\xf4$/);
    await drained;
    known.socket.destroy();
  });

  test('a WebSocket that does not answer the close frame is cut', async () => {
    const old = await echo('web.1@v1', (socket) => socket.unpipe(socket));
    await stage.serve([route('a.test', old)]);
    const client = rawClient(stage.port);
    client.send(upgradeHead);
    await client.until((text) => text.includes('\r\n\r\n'));
    await stage.serve([]);
    await stage.client.drained([old.id], drainTimes(5000, 0));
    await client.untilClosed();
  });
});
