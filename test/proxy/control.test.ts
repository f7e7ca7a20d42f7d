import { afterEach, expect, test } from 'vitest';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RouteTable } from '../../src/domain.ts';
import { connectProxy, type ProxyClient } from '../../src/proxy/client.ts';
import { controlSocketOf, runProxy } from '../../src/proxy/main.ts';
import { eventually, exchangeBytes, optionsFor, silent } from './stage.ts';

const start = fileURLToPath(new URL('../../src/proxy/start.ts', import.meta.url));
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const signal = (): AbortSignal => AbortSignal.timeout(5000);

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'forge-proxy-'));
  closers.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** The proxy as forge starts it: a process of its own. */
async function startProcess(stateDir: string, overrides: object = {}): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [start, JSON.stringify({ ...optionsFor(stateDir), ...overrides })], { stdio: ['ignore', 'pipe', 'inherit'] });
  closers.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const [line] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
  return { child, port: (JSON.parse(line.toString()) as { http: number }).http };
}

function client(stateDir: string): ProxyClient {
  const made = connectProxy({ socketPath: controlSocketOf(stateDir), log: silent });
  closers.push(() => made.close());
  return made;
}

async function app(text: string): Promise<number> {
  const server = createServer((_request, response) => response.end(text)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => (server.closeAllConnections(), server.close()));
  return (server.address() as AddressInfo).port;
}

const table = (version: number, port?: number): RouteTable => ({
  version,
  controlHost: 'forge.test',
  controlSocket: '/nowhere.sock',
  routes: [{ host: 'a.test', app: 'a', targets: port === undefined ? [] : [{ id: `web.1@v${version}`, address: '127.0.0.1', port }] }],
});

const get = (port: number): Promise<string> => exchangeBytes(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');

test('an acknowledged table serves at once, and survives the death of both processes', async () => {
  const stateDir = await directory();
  const appPort = await app('hello');
  const first = await startProcess(stateDir);
  const control = client(stateDir);
  expect(await control.addresses()).toEqual({ http: first.port });
  await control.apply(table(1, appPort), signal());
  expect(await get(first.port)).toMatch(/hello$/);
  await control.close();
  expect(await get(first.port)).toMatch(/hello$/);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const second = await startProcess(stateDir);
  expect(await get(second.port)).toMatch(/hello$/);
  expect((await stat(join(stateDir, 'routes.json'))).mode & 0o077).toBe(0);
});

test('the client connects again by itself and sends the newest table to a proxy that lost it', async () => {
  const stateDir = await directory();
  const appPort = await app('newest');
  const control = client(stateDir);
  const applied = control.apply(table(7, appPort), signal());
  const first = await startProcess(stateDir);
  await applied;
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  await rm(join(stateDir, 'routes.json'));
  const second = await startProcess(stateDir);
  await eventually(async () => (await get(second.port)).endsWith('newest'));
  await control.apply(table(8), signal());
  expect(await get(second.port)).toMatch(/^HTTP\/1.1 503 /);
});

test('a table that cannot be delivered fails within its deadline', async () => {
  const control = client(await directory());
  await expect(control.apply(table(1), AbortSignal.timeout(200))).rejects.toThrow();
});

test('an older table on the same connection is refused; a new connection may count anew', async () => {
  const stateDir = await directory();
  const proxy = await runProxy(optionsFor(stateDir));
  closers.push(() => proxy.close());
  const ask = async (...tables: RouteTable[]): Promise<string> => {
    const socket = connect(controlSocketOf(stateDir));
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write(tables.map((each, id) => `${JSON.stringify({ id, kind: 'apply', table: each })}\n`).join(''));
    await eventually(() => text.split('\n').length > tables.length);
    socket.destroy();
    return text;
  };
  const answers = await ask(table(5), table(4));
  expect(answers).toContain('"id":0,"isOk":true');
  expect(answers).toContain('"code":"superseded"');
  expect(await ask(table(3))).toContain('"isOk":true');
});

test('what is not a JSON line ends that connection and nothing else', async () => {
  const stateDir = await directory();
  const proxy = await runProxy(optionsFor(stateDir));
  closers.push(() => proxy.close());
  const socket = connect(controlSocketOf(stateDir));
  socket.write('GET / HTTP/1.1\n');
  await once(socket, 'close');
  await client(stateDir).apply(table(1), signal());
});

test('a damaged copy of the routes does not keep the proxy from starting', async () => {
  const stateDir = await directory();
  await writeFile(join(stateDir, 'routes.json'), '{"version":1,"rou');
  const proxy = await runProxy(optionsFor(stateDir));
  closers.push(() => proxy.close());
  expect(await get(proxy.addresses.http)).toMatch(/^HTTP\/1.1 503 /);
  await client(stateDir).apply(table(2), signal());
  expect(JSON.parse(await readFile(join(stateDir, 'routes.json'), 'utf8'))).toMatchObject({ version: 2 });
});

test('a port in use and a second proxy on the same directory are named', async () => {
  const stateDir = await directory();
  const proxy = await runProxy(optionsFor(stateDir));
  closers.push(() => proxy.close());
  await expect(runProxy({ ...optionsFor(await directory()), http: proxy.addresses.http })).rejects.toThrow(`127.0.0.1:${proxy.addresses.http}: the port is in use`);
  await expect(runProxy(optionsFor(stateDir))).rejects.toThrow('another proxy answers on');
});

test('SIGTERM lets a response under way end', async () => {
  const stateDir = await directory();
  let finish = (): void => undefined;
  const server = createServer((_request, response) => {
    response.write('begun');
    finish = () => response.end(' ended');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => (server.closeAllConnections(), server.close()));
  const { child, port } = await startProcess(stateDir);
  await client(stateDir).apply(table(1, (server.address() as AddressInfo).port), signal());
  const answer = get(port);
  await eventually(() => finish.length === 0 && finish.toString().includes('ended'));
  child.kill('SIGTERM');
  await eventually(() => new Promise<boolean>((resolve) => {
    const probe = connect(port, '127.0.0.1').on('connect', () => (probe.destroy(), resolve(false))).on('error', () => resolve(true));
  }));
  finish();
  expect(await answer).toContain(' ended');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('two workers serve one port, take each table, and one that dies is replaced', async () => {
  const stateDir = await directory();
  const [one, two] = [await app('one'), await app('two')];
  const { child, port } = await startProcess(stateDir, { workers: 2 });
  const control = client(stateDir);
  await control.apply(table(1, one), signal());
  expect(new Set(await Promise.all(Array.from({ length: 8 }, async () => (await get(port)).slice(-3))))).toEqual(new Set(['one']));
  await control.apply(table(2, two), signal());
  expect(new Set(await Promise.all(Array.from({ length: 8 }, async () => (await get(port)).slice(-3))))).toEqual(new Set(['two']));
  await control.drained(['web.1@v1'], { timeoutMs: 2000, webSocketGraceMs: 0, signal: signal() });
  const workers = async (): Promise<string[]> => (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim().split(' ').filter(Boolean);
  const first = await workers();
  const isNew = (pid: string): boolean => !first.includes(pid);
  process.kill(Number(first[0]), 'SIGKILL');
  await eventually(async () => (await workers()).some(isNew));
  // Its successor dies before it serves.
  const successor = (await workers()).find(isNew);
  process.kill(Number(successor), 'SIGKILL');
  await eventually(async () => {
    const now = await workers();
    return now.length === 2 && !now.includes(String(first[0])) && !now.includes(String(successor));
  });
  await eventually(async () => (await Promise.all([get(port), get(port), get(port), get(port)])).every((text) => text.endsWith('two')));
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
