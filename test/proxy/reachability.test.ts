import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RouteTarget } from '../../src/domain.ts';
import { failuresAllowed, Reachability } from '../../src/proxy/reachability.ts';
import { chooseTarget, Target } from '../../src/proxy/target.ts';
import { eventually, fetchText, openStage, route, type Stage } from './stage.ts';

const times = { connectTimeoutMs: 1_000, keepAliveMs: 1_000 };

async function listen(port = 0): Promise<Server & { readonly port: number; readonly knocks: () => number; end(): Promise<void> }> {
  let knocks = 0;
  const server = createServer((socket) => {
    knocks += 1;
    socket.destroy();
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const end = async (): Promise<void> => {
    server.close();
    await once(server, 'close');
  };
  return Object.assign(server, { port: (server.address() as AddressInfo).port, knocks: () => knocks, end });
}

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const server = await listen();
  await server.end();
  return server.port;
}

describe('a target whose connections fail', () => {
  test('is set aside after some in a row, not before', async () => {
    const reachability = new Reachability({ address: '127.0.0.1', port: await freePort() }, 1_000);
    for (let count = 1; count < failuresAllowed; count += 1) reachability.onFailure();
    reachability.onConnect();
    for (let count = 1; count < failuresAllowed; count += 1) reachability.onFailure();
    expect(reachability.isSetAside).toBe(false);
    reachability.onFailure();
    expect(reachability.isSetAside).toBe(true);
    reachability.close();
  });

  test('is knocked at and returns after the first good answer', async () => {
    const port = await freePort();
    const reachability = new Reachability({ address: '127.0.0.1', port }, 1_000);
    for (let count = 0; count < failuresAllowed; count += 1) reachability.onFailure();
    const server = await listen(port);
    await eventually(() => !reachability.isSetAside);
    expect(server.knocks()).toBe(1);
    await server.end();
  });

  test('is left alone once it left the table', async () => {
    const server = await listen();
    const reachability = new Reachability({ address: '127.0.0.1', port: server.port }, 1_000);
    for (let count = 0; count < failuresAllowed; count += 1) reachability.onFailure();
    reachability.close();
    reachability.onFailure();
    const still = new Reachability({ address: '127.0.0.1', port: server.port }, 1_000);
    for (let count = 0; count < failuresAllowed; count += 1) still.onFailure();
    await eventually(() => !still.isSetAside);
    expect(server.knocks()).toBe(1);
    await server.end();
  });
});

test('one that is set aside is chosen only when there is no other', async () => {
  const port = await freePort();
  const target = (id: string) => new Target({ id, origin: { address: '127.0.0.1', port } }, times);
  const [dead, alive] = [target('web.1'), target('web.2')];
  const fail = async (one: Target): Promise<void> => {
    for (let count = 0; count < failuresAllowed; count += 1) {
      const { client } = one.take(true);
      const failed = once(client, 'connectionError');
      client.dispatch({ path: '/', method: 'GET' }, { onResponseError: () => undefined, onRequestStart: () => undefined, onResponseStart: () => undefined, onResponseData: () => undefined, onResponseEnd: () => undefined });
      await failed;
    }
  };
  await fail(dead);
  expect(dead.isSetAside).toBe(true);
  alive.claim();
  alive.claim();
  for (const turn of [0, 1]) expect(chooseTarget([dead, alive], [], turn)).toBe(alive);
  expect(chooseTarget([dead, alive], [alive], 0)).toBe(dead);
  await fail(alive);
  expect(chooseTarget([dead, alive], [], 1)).toBe(dead);
  dead.retire();
  alive.retire();
});

describe('in a proxy', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.close());

  test('an instance that went away gets no more requests until it is back, and none is lost', async () => {
    const counts = { dead: 0, alive: 0 };
    const dead = await stage.app('web.1@v1', (_request, response) => void response.end('dead'));
    const alive = await stage.app('web.2@v1', (_request, response) => {
      counts.alive += 1;
      response.end('alive');
    });
    await dead.stop();
    await stage.serve([route('a.test', dead, alive)]);
    for (let count = 0; count < 20; count += 1) expect((await fetchText(stage.port, '/')).body).toBe('alive');
    const back = createHttpServer((_request, response) => {
      counts.dead += 1;
      response.end('back');
    }).listen(dead.port, '127.0.0.1');
    await once(back, 'listening');
    await eventually(async () => (await fetchText(stage.port, '/')).body === 'back');
    back.closeAllConnections();
    back.close();
  });

  test('with all of them set aside, requests are tried all the same', async () => {
    const apps: (RouteTarget & { stop(): Promise<void> })[] = [await stage.app('web.1@v1', () => undefined), await stage.app('web.2@v1', () => undefined)];
    for (const app of apps) await app.stop();
    await stage.serve([route('a.test', ...apps)]);
    for (let count = 0; count < 8; count += 1) expect((await fetchText(stage.port, '/')).response.statusCode).toBe(502);
    const back = createHttpServer((_request, response) => void response.end('back')).listen(apps[0]?.port, '127.0.0.1');
    await once(back, 'listening');
    expect((await fetchText(stage.port, '/')).body).toBe('back');
    back.closeAllConnections();
    back.close();
  });
});
