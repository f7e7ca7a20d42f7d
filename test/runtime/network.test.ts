import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { createAppNetworks } from '../../src/runtime/network.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

/** An engine that answers nothing until it is told to. */
async function openEngine() {
  const state = { hangs: true, asked: 0 };
  const server = createServer((request, response) => {
    state.asked += 1;
    if (state.hangs) return;
    response.setHeader('Content-Type', 'application/json');
    response.end(request.url?.includes('/networks/') ? JSON.stringify({ IPAM: { Config: [{ Subnet: '10.224.0.0/24' }] } }) : '[]');
  });
  const path = join(temporaryDirectory(), 'docker.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { state, docker: connectDocker(path) };
}

test('a call that the engine never answers fails its own join, and the next one of the app succeeds', async () => {
  const { state, docker } = await openEngine();
  const networks = createAppNetworks({ docker, dataId: 'test', pool: '10.224.0.0/12', allocateSubnet: () => 0 });
  const { signal } = new AbortController();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const first = expect(networks.join('hello', 1, signal)).rejects.toMatchObject({ code: 'timeout' });
  while (state.asked < 2) await new Promise(setImmediate);
  await vi.advanceTimersByTimeAsync(10_000);
  state.hangs = false;
  const second = networks.join('hello', 1, signal);
  await vi.advanceTimersByTimeAsync(20_000);
  await first;
  using lease = await second;
  expect(lease.addresses).toEqual(['10.224.0.2']);
});
