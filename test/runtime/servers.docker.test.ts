import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import type { Instance, Release } from '../../src/domain.ts';
import { capabilityImage, nginxImage, postgresImage, redisImage, scratchImage } from '../support/server-images.ts';
import { docker, imageOf, limits, releaseOf, startOf, testRuntime } from './support.ts';

const forge = testRuntime(['hello']);
afterAll(async () => await forge[Symbol.asyncDispose]());

const releaseWith = (reference: string, port: number, user = ''): Release =>
  releaseOf(imageOf(reference, { user, exposedPorts: [port] }), { port, formation: { web: { quantity: 1, limits: { ...limits, memoryBytes: 256 * 1024 * 1024 } } } });

async function running(release: Release, check: (instance: Instance) => Promise<void>): Promise<void> {
  const [instance] = await forge.runtime.startRelease(startOf(release));
  if (!instance) throw new Error('nothing started');
  await check(instance);
  expect(await forge.runtime.retire([instance], { stopTimeoutMs: 5_000 })).toEqual([]);
}

const exchange = async ({ address, port }: Instance, question: Buffer): Promise<Buffer> => {
  const socket = connect(port, address);
  socket.write(question);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer;
};

test('nginx as root serves on port 80 with its workers as another user', async () => {
  await running(releaseWith(await nginxImage(), 80), async ({ address, containerId }) => {
    expect((await fetch(`http://${address}/`)).status).toBe(200);
    const { Processes } = (await docker.getContainer(containerId).top()) as { Processes: string[][] };
    expect(Processes.filter((row) => row.join(' ').includes('worker process')).every((row) => row[0] !== 'root')).toBe(true);
  });
});

test('postgres as root makes its cluster in a volume, drops to its user and answers; the volume goes with it', async () => {
  const volumes = async () => (await docker.listVolumes()).Volumes.map(({ Name }) => Name);
  let made: string | undefined;
  await running(releaseWith(await postgresImage(), 5432), async (instance) => {
    // SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html
    expect((await exchange(instance, Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))).toString()).toMatch(/^[SN]/);
    made = (await docker.getContainer(instance.containerId).inspect()).Mounts[0]?.Name;
    expect(await volumes()).toContain(made);
  });
  expect(await volumes()).not.toContain(made);
});

test('redis as root drops to its user and answers', async () => {
  await running(releaseWith(await redisImage(), 6379), async (instance) => {
    expect((await exchange(instance, Buffer.from('PING\r\n'))).toString()).toBe('+PONG\r\n');
  });
});

test('a binary with a file capability runs', async () => {
  await running(releaseWith(await capabilityImage(), 80), async ({ address }) => {
    expect(await (await fetch(`http://${address}/`)).text()).toBe('bound');
  });
});

test('an image with one binary and no user of its own runs as 65534 without any capability', async () => {
  await running(releaseWith(await scratchImage(), 8080, '65534'), async ({ address, containerId, port }) => {
    expect((await fetch(`http://${address}:${port}/nothing`)).status).toBe(404);
    const { HostConfig } = await docker.getContainer(containerId).inspect();
    expect(HostConfig.CapAdd ?? []).toEqual([]);
  });
});
