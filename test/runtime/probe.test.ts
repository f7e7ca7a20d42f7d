import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { plainCheck } from '../../src/runtime/checks.ts';
import { askOf } from '../../src/runtime/probe.ts';
import { readinessTimings, untilReady } from '../../src/runtime/readiness.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

const check = { ...plainCheck({ kind: 'command', argv: ['true'] }, 100), timeoutMs: 200, attempts: 1, waitMs: 50 };
const askThrough = (socketPath: string) =>
  askOf(check, { address: '10.0.0.2', port: 5000, host: 'hello.localhost', launcher: undefined, containerId: 'c1', docker: connectDocker(socketPath) });

it('a command check tells nothing of the instance when the engine is away', async () => {
  const ask = askThrough(join(temporaryDirectory(), 'none.sock'));
  await expect(ask(AbortSignal.timeout(5_000))).rejects.toMatchObject({ code: 'unavailable' });
});

it('a command check tells nothing of the instance when the engine hangs before it has begun the command', async () => {
  const socketPath = join(temporaryDirectory(), 'engine.sock');
  const engine = createServer(() => undefined).listen(socketPath);
  await once(engine, 'listening');
  try {
    await expect(askThrough(socketPath)(AbortSignal.timeout(5_000))).rejects.toMatchObject({ code: 'unavailable' });
  } finally {
    engine.closeAllConnections();
    engine.close();
  }
});

it('a start whose engine is away is not ready in time, and says why', async () => {
  const ask = askThrough(join(temporaryDirectory(), 'none.sock'));
  const request = { app: 'hello', name: 'web.1', type: 'web', check, port: 5000, ask, timings: readinessTimings, listeners: async () => [], signal: AbortSignal.timeout(5_000) };
  await expect(untilReady(request)).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('the Docker Engine does not answer') as string });
});
