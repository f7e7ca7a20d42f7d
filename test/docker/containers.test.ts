import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { createContainer, inspectContainer, listContainers, removeContainer, startContainer, waitForExit } from '../../src/docker/containers.ts';
import { inspectImage, removeImage } from '../../src/docker/images.ts';
import { createNetwork, findNetworkSubnet, removeNetwork } from '../../src/docker/networks.ts';
import { createVolume, findVolumes, removeVolume } from '../../src/docker/volumes.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

let silent: Server;
let path: string;

/** An engine that takes every call and never answers. */
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  path = join(temporaryDirectory(), 'docker.sock');
  silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(path, resolve));
});
afterEach(() => {
  vi.useRealTimers();
  silent.closeAllConnections();
  silent.close();
});

it('an engine that hangs fails each call after a minute, and names what was asked', async () => {
  const docker = connectDocker(path);
  const calls = [createContainer(docker, { name: 'hello.web.1' }), startContainer(docker, 'c'), inspectContainer(docker, 'c'), removeContainer(docker, 'c')];
  const outcomes = Promise.allSettled(calls);
  await vi.advanceTimersByTimeAsync(60_000);
  const reasons = (await outcomes).map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as { code: string; message: string }) : undefined));
  expect(reasons.map((reason) => reason?.code)).toEqual(['timeout', 'timeout', 'timeout', 'timeout']);
  expect(reasons[0]?.message).toBe('could not create hello.web.1: the Docker Engine did not answer within 60 s');
});

it('so do those for images, networks and volumes, and lists', async () => {
  const docker = connectDocker(path);
  const label = { a: 'b' };
  const quick = [
    inspectImage(docker, 'an-image'),
    createNetwork(docker, { name: 'n', bridge: 'b', subnet: '10.0.0.0/24', gateway: '10.0.0.1', labels: label }),
    findNetworkSubnet(docker, 'n'),
    removeNetwork(docker, 'n'),
    findVolumes(docker, label),
    createVolume(docker, 'v', label),
    listContainers(docker, ['a=b']),
  ];
  const slow = [removeImage(docker, 'an-image'), removeVolume(docker, 'v')];
  const codeOf = (outcome: PromiseSettledResult<unknown>) => (outcome.status === 'rejected' ? (outcome.reason as { code: string }).code : 'succeeded');
  const outcomes = Promise.allSettled(quick);
  const slowOutcomes = Promise.allSettled(slow);
  await vi.advanceTimersByTimeAsync(60_000);
  expect((await outcomes).map(codeOf)).toEqual(quick.map(() => 'timeout'));
  await vi.advanceTimersByTimeAsync(240_000);
  expect((await slowOutcomes).map(codeOf)).toEqual(slow.map(() => 'timeout'));
});

it('an engine that is killed while it is waited for is noticed', async () => {
  vi.useRealTimers();
  const dying = createServer((request, response) => {
    // It tells that it waits, and is gone before it says for what.
    if (!request.url?.includes('/wait')) return request.socket.destroy();
    response.writeHead(200).flushHeaders();
    request.socket.write('', () => dying.closeAllConnections());
  });
  const dyingPath = join(temporaryDirectory(), 'docker.sock');
  await new Promise<void>((resolve) => dying.listen(dyingPath, resolve));
  const waiting = waitForExit(connectDocker(dyingPath), 'c', new AbortController().signal);
  await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  dying.close();
});
