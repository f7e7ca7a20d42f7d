/** Requests for another protocol that do not become a tunnel: none of them holds anything for ever. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { type ExchangeScope } from '../../src/proxy/exchange.ts';
import { readHead, type Head } from '../../src/proxy/head.ts';
import { Target } from '../../src/proxy/target.ts';
import { startUpgrade } from '../../src/proxy/upgrade.ts';
import { WaitingList } from '../../src/proxy/waiting-list.ts';
import { eventually, openStage, rawClient, route, silent, type Stage } from './stage.ts';

let stage: Stage;
afterEach(() => stage.close());

const ask = 'GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const soon = { timeoutMs: 5000, webSocketGraceMs: 0, signal: AbortSignal.timeout(60_000) };

test('an app that does not answer an upgrade in time is a 504, and nothing is under way on it', async () => {
  stage = await openStage({ responseTimeoutMs: 400 });
  let appSocket: Socket | undefined;
  const app = await stage.bytesApp('web.1@v1', (socket) => (appSocket = socket.resume()));
  await stage.serve([route('a.test', app)]);
  const client = rawClient(stage.port);
  client.send(ask);
  expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 504 /);
  await eventually(() => appSocket?.destroyed === true);
  await stage.serve([]);
  await stage.client.drained([app.id], soon);
});

test('an upgrade outlives the idle timeout while its app thinks, and when it is a tunnel', async () => {
  stage = await openStage({ idleTimeoutMs: 200 });
  let appSocket: Socket | undefined;
  const app = await stage.bytesApp('web.1@v1', (socket) => (appSocket = socket));
  await stage.serve([route('a.test', app)]);
  const client = rawClient(stage.port);
  const idle = rawClient(stage.port);
  client.send(ask);
  await idle.untilClosed();
  // The younger of the two is swept away already.
  const other = rawClient(stage.port);
  await other.untilClosed();
  appSocket?.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await client.until((text) => text.endsWith('\r\n\r\n'));
  await rawClient(stage.port).untilClosed();
  expect(client.isClosed).toBe(false);
  client.socket.destroy();
});

test('a client that does not take the answer to its upgrade is cut off', async () => {
  stage = await openStage({ idleTimeoutMs: 300 });
  const app = await stage.app('web.1@v1', (_request, response) => void response.end(Buffer.alloc(64 * 1024 * 1024)));
  await stage.serve([route('a.test', app)]);
  const client = rawClient(stage.port);
  client.socket.pause();
  client.send(ask);
  await eventually(() => new Promise<boolean>((resolve) => app.server.getConnections((_error, count) => resolve(count > 0))));
  await eventually(() => new Promise<boolean>((resolve) => app.server.getConnections((_error, count) => resolve(count === 0))));
  client.socket.destroy();
});

test('a large answer to an upgrade reaches a client that reads it', async () => {
  stage = await openStage();
  const size = 8 * 1024 * 1024;
  const app = await stage.app('web.1@v1', (_request, response) => void response.end('x'.repeat(size)));
  await stage.serve([route('a.test', app)]);
  const client = rawClient(stage.port);
  client.send(ask);
  expect((await client.untilClosed()).split('\r\n\r\n')[1]).toHaveLength(size);
});

test('a client that goes on sending after the page that refused its upgrade is cut off', async () => {
  stage = await openStage({ idleTimeoutMs: 200 });
  await stage.serve([]);
  const client = rawClient(stage.port);
  client.socket.allowHalfOpen = true;
  client.send(ask);
  await client.until((text) => text.startsWith('HTTP/1.1 404 '));
  await eventually(() => {
    client.send('more');
    return client.isClosed;
  });
});

test('a second attempt goes by the table of then', async () => {
  stage = await openStage();
  const gone = await stage.app('web.1@v1', () => undefined);
  await gone.stop();
  const next = await stage.app('web.1@v2', (_request, response) => void response.end('of the new release'));
  const times = { connectTimeoutMs: 1000, keepAliveMs: 1000 };
  const [old, live] = [gone, next].map(({ id, address, port }) => new Target({ id, origin: { address, port } }, times)) as [Target, Target];
  const scope: ExchangeScope = { log: silent, waiting: new WaitingList(), unflushed: [], clock: { nowMs: 0 }, find: () => ({ app: 'a', targets: [live] }), hasTable: () => true, onTunnel: () => undefined };
  const front = createServer().on('upgrade', (request, socket: Socket, rest) => startUpgrade(scope, { request, socket, rest, head: readHead(request, '127.0.0.1', 'id') as Head, targets: [old] }, 0));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const client = rawClient((front.address() as AddressInfo).port);
  client.send(ask);
  expect(await client.untilClosed()).toContain('of the new release');
  expect([old.inFlight, live.inFlight]).toEqual([0, 0]);
  for (const target of [old, live]) target.retire();
  front.close();
});
