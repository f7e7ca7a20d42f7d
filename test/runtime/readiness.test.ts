import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { parseListeners } from '../../src/runtime/listeners.ts';
import { diagnose, readinessTimings, untilReady, type ReadinessRequest } from '../../src/runtime/readiness.ts';

const listen = async (handle: RequestListener, port = 0) => {
  const server = createServer(handle).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: async () => void (server.close(), server.closeAllConnections()) };
};
const requestFor = (port: number, more: Partial<ReadinessRequest> = {}, path?: string): ReadinessRequest => ({
  app: 'hello',
  name: 'web.1',
  target: { address: '127.0.0.1', port, path, host: 'hello.example.test' },
  timeoutMs: 5_000,
  timings: readinessTimings,
  listeners: async () => [],
  signal: AbortSignal.timeout(10_000),
  ...more,
});

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
  await untilReady(requestFor(server.port, {}, '/health'));
  expect(seen).toEqual(['hello.example.test /health', 'hello.example.test /health', 'hello.example.test /health']);
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
