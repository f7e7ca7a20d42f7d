import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createRawServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import type { Check } from '../../src/app-file.ts';
import { plainCheck } from '../../src/runtime/checks.ts';
import { parseListeners } from '../../src/runtime/listeners.ts';
import { askOf } from '../../src/runtime/probe.ts';
import { diagnose, readinessTimings, untilReady, type ReadinessRequest } from '../../src/runtime/readiness.ts';

const listen = async (handle: RequestListener, port = 0) => {
  const server = createServer(handle).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: async () => void (server.close(), server.closeAllConnections()) };
};
const checkOf = (probe: Check['probe'], more: Partial<Check> = {}): Check => ({ ...plainCheck(probe, 5_000), ...more });
const http = (more: Partial<Extract<Check['probe'], { kind: 'http' }>> = {}): Check['probe'] => ({ kind: 'http', path: '/health', status: undefined, content: undefined, headers: undefined, ...more });
const requestFor = (port: number, more: Partial<ReadinessRequest> = {}): ReadinessRequest => {
  const check = more.check ?? checkOf({ kind: 'tcp' });
  return {
    app: 'hello',
    name: 'web.1',
    type: 'web',
    check,
    port,
    ask: askOf(check, { address: '127.0.0.1', port, host: 'hello.example.test', launcher: undefined, containerId: '', docker: undefined as never }),
    timings: readinessTimings,
    listeners: async () => [],
    signal: AbortSignal.timeout(10_000),
    ...more,
  };
};

test('a port that begins to listen later is ready then', async () => {
  const { port } = await (async () => {
    await using free = await listen(() => undefined);
    return { port: free.port };
  })();
  const ready = untilReady(requestFor(port));
  await using _server = await listen((_request, response) => response.end(), port);
  await ready;
});

test('the HTTP check waits for 2xx or 3xx and names the app as host', async () => {
  const seen: string[] = [];
  let answers = 0;
  await using server = await listen((request, response) => {
    seen.push(`${request.headers.host} ${request.url}`);
    response.statusCode = ++answers < 3 ? 503 : 302;
    response.end();
  });
  await untilReady(requestFor(server.port, { check: checkOf(http()) }));
  expect(seen).toEqual(['hello.example.test /health', 'hello.example.test /health', 'hello.example.test /health']);
});

test('an answer that changes the protocol, or none, is a check that fails', async () => {
  const answers = ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', ''];
  await using raw = createRawServer((socket) => socket.on('error', () => undefined).once('data', () => socket.end(answers.shift() ?? ''))).listen(0, '127.0.0.1');
  await once(raw, 'listening');
  const ask = askOf(checkOf(http({ content: 'is well' })), { address: '127.0.0.1', port: (raw.address() as AddressInfo).port, host: 'hello.example.test', launcher: undefined, containerId: '', docker: undefined as never });
  expect(await ask(AbortSignal.timeout(10_000))).toBe('closed the connection without an answer');
  expect(await ask(AbortSignal.timeout(10_000))).toBe('connection reset');
});

test('a check with content passes when the body has it, in whatever pieces, and fails naming what came instead', async () => {
  const words = { sent: ['all is w', 'ell'] };
  await using server = await listen((_request, response) => {
    response.write(words.sent[0]);
    setImmediate(() => response.end(words.sent[1]));
  });
  const check = checkOf(http({ content: 'is well' }), { waitMs: 100 });
  await untilReady(requestFor(server.port, { check }));
  words.sent = ['all is', ' lost'];
  await expect(untilReady(requestFor(server.port, { check }))).rejects.toMatchObject({
    code: 'timeout',
    message: `web.1 was not ready within 0.1 s: GET /health on port ${server.port} with "is well" in its body: answered 200 without "is well" in its body, which begins with "all is lost"`,
  });
});

test('a check with a status takes that one only, and sends its headers', async () => {
  const hosts: (string | undefined)[] = [];
  await using server = await listen((request, response) => {
    hosts.push(request.headers.host, String(request.headers['x-check']));
    response.writeHead(204).end();
  });
  await untilReady(requestFor(server.port, { check: checkOf(http({ status: 204, headers: { host: 'known.test', 'x-check': 'yes' } })) }));
  expect(hosts).toEqual(['known.test', 'yes']);
  const failing = checkOf(http({ status: 200 }), { waitMs: 50, name: 'the page' });
  await expect(untilReady(requestFor(server.port, { check: failing }))).rejects.toThrow('check "the page": GET /health on port');
  await expect(untilReady(requestFor(server.port, { check: failing }))).rejects.toThrow('answered 204, expected 200');
});

test('it is asked often within attempts × wait, and at least as often as there are attempts', async () => {
  let asked = 0;
  const ask = async () => (++asked < 6 ? 'not yet' : undefined);
  const startedAt = performance.now();
  await untilReady(requestFor(1, { check: checkOf({ kind: 'tcp' }, { attempts: 3, waitMs: 5_000 }), ask }));
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  const never = { asked: 0 };
  const check = checkOf({ kind: 'tcp' }, { attempts: 4, waitMs: 0 });
  await expect(untilReady(requestFor(1, { check, ask: async () => `no ${++never.asked}` }))).rejects.toThrow('no 4');
});

test('the last question gets its whole time, and an app that does not answer is told from one that refuses', async () => {
  await using server = await listen(() => undefined);
  const check = checkOf(http(), { waitMs: 10, timeoutMs: 300 });
  await expect(untilReady(requestFor(server.port, { check }))).rejects.toThrow('no answer within 0.3 s');
});

test('the first question waits for the initial delay, and uptime is only waited for', async () => {
  let asked = 0;
  const startedAt = performance.now();
  await untilReady(requestFor(1, { check: checkOf({ kind: 'tcp' }, { initialDelayMs: 150 }), ask: async () => void (asked += 1) }));
  expect(performance.now() - startedAt).toBeGreaterThan(140);
  await untilReady(requestFor(1, { check: checkOf({ kind: 'uptime', uptimeMs: 50 }), ask: async () => 'never asked' }));
  expect(asked).toBe(1);
});

test('an aborted wait ends at once with the reason', async () => {
  const controller = new AbortController();
  const waiting = untilReady(requestFor(1, { signal: controller.signal }));
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'canceled' });
});

test('an app that first opens another port and then the expected one is not refused early', async () => {
  let looks = 0;
  const { port } = await (async () => {
    await using free = await listen(() => undefined);
    return { port: free.port };
  })();
  const ready = untilReady(requestFor(port, { listeners: async () => (looks++, [{ port: 9000, isLoopback: false }]), timings: { ...readinessTimings, wrongPortMs: 4_000 } }));
  await expect.poll(() => looks, { timeout: 4_000 }).toBe(1);
  await using _server = await listen((_request, response) => response.end(), port);
  await ready;
});

test('listeners are read from both tables of the kernel, without Docker’s resolver', () => {
  const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
  const tcp = `${head}
   0: 0B00007F:9C4B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   3: 0200E00A:1388 0100E00A:D431 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
`;
  const tcp6 = `${head}
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
`;
  expect(parseListeners(tcp, tcp6)).toEqual([
    { port: 3000, isLoopback: true },
    { port: 5000, isLoopback: false },
    { port: 8080, isLoopback: true },
    { port: 80, isLoopback: false },
    { port: 81, isLoopback: true },
  ]);
});

test('where an app listens explains why it does not answer', () => {
  expect(diagnose([], 5000)).toBeUndefined();
  expect(diagnose([{ port: 5000, isLoopback: false }, { port: 5000, isLoopback: true }], 5000)).toBeUndefined();
  expect(diagnose([{ port: 5000, isLoopback: true }, { port: 9229, isLoopback: true }], 5000)).toMatchObject({ isLoopback: true });
  expect(diagnose([{ port: 8080, isLoopback: false }, { port: 3000, isLoopback: true }], 5000)).toMatchObject({
    problem: 'listens on port 3000, 8080, expected is port 5000',
    isLoopback: false,
  });
});
