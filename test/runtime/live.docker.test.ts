/** Instances after their start: signals, crashes, many apps, two forges on one engine, an engine that goes away. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import type { Instance, Release } from '../../src/domain.ts';
import { networkName } from '../../src/runtime/network.ts';
import { watch, type RuntimeEvent } from '../../src/runtime/watch.ts';
import { behaviourImage } from '../support/images.ts';
import { scratchImage } from '../support/server-images.ts';
import { docker, imageOf, limits, releaseOf, startOf, testRuntime, type TestRuntime } from './support.ts';

const apps = Array.from({ length: 30 }, (_, index) => `app${index}`);
let reference: string;
/** Engines of busy machines are slow. */
const patience = { timeout: 30_000 };
let forge: TestRuntime;
let other: TestRuntime;
beforeAll(async () => {
  reference = await behaviourImage();
  forge = testRuntime(['hello', ...apps]);
  other = testRuntime(['hello']);
});
afterAll(async () => {
  await forge?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
});

const doing = (action: string) => releaseOf(imageOf(reference), { config: { DO: action } });
const started = async (runtime: TestRuntime, release: Release): Promise<Instance> => {
  const [instance] = await runtime.runtime.startRelease(startOf(release));
  if (!instance) throw new Error('nothing started');
  return instance;
};
const answers = async ({ address }: Instance) => await fetch(`http://${address}:5000/`).then((response) => response.ok, () => false);

test('SIGTERM reaches an app that handles it, and its last words are settled before it goes', async () => {
  const instance = await started(forge, doing('graceful'));
  await forge.runtime.retire([instance], { stopTimeoutMs: 10_000 });
  expect(forge.lastLines.get(instance.containerId)).toEqual(['listening on 5000', 'got SIGTERM']);
});

test('an app that knows nothing of signals ends at SIGTERM, one that ignores it is killed after the stop timeout', async () => {
  const instances = [await started(forge, doing('serve')), await started(forge, doing('stubborn'))];
  const took = await Promise.all(instances.map(async (instance, index) => {
    const startedAt = performance.now();
    expect(await forge.runtime.retire([instance], { stopTimeoutMs: index === 0 ? 60_000 : 2_000 })).toEqual([]);
    return performance.now() - startedAt;
  }));
  expect(took[0]).toBeLessThan(30_000);
  expect(took[1]).toBeGreaterThan(1_900);
  expect(took[1]).toBeLessThan(30_000);
});

test('retiring what is gone already is no failure', async () => {
  const instance = await started(forge, doing('serve'));
  await docker.getContainer(instance.containerId).remove({ force: true });
  expect(await forge.runtime.retire([instance], { stopTimeoutMs: 1_000 })).toEqual([]);
});

test('a promoted instance that crashes comes back at its address; the watch tells both', async () => {
  const instance = await started(forge, doing('serve'));
  await forge.runtime.promote([instance]);
  const controller = new AbortController();
  const events: RuntimeEvent[] = [];
  const watching = (async () => {
    for await (const event of forge.runtime.watch(controller.signal)) events.push(event);
  })();
  await expect.poll(async () => {
    await fetch(`http://${instance.address}:5000/crash`).catch(() => undefined);
    return events.some(({ kind }) => kind === 'started');
  }, { timeout: 20_000, interval: 500 }).toBe(true);
  await expect.poll(() => answers(instance), patience).toBe(true);
  expect(events).toContainEqual({ kind: 'died', app: 'hello', name: 'web.1', containerId: instance.containerId, exitCode: 3 });
  expect(events).toContainEqual({ kind: 'started', app: 'hello', name: 'web.1', containerId: instance.containerId });
  controller.abort();
  await watching;
  await forge.runtime.retire([instance], { stopTimeoutMs: 0 });
});

test('a stopped container is found and starts again at its address', async () => {
  const instance = await started(forge, doing('serve'));
  await docker.getContainer(instance.containerId).stop({ t: 0 });
  expect(await forge.runtime.findInstances('hello')).toEqual([{ ...instance, isRunning: false, address: '' }]);
  await forge.runtime.restartInstance(instance);
  await expect.poll(() => answers(instance), patience).toBe(true);
  expect(await forge.runtime.findInstances('hello')).toEqual([instance]);
  await forge.runtime.retire([instance], { stopTimeoutMs: 0 });
});

test('an address that was just given back is not handed out again while others are free', async () => {
  const addresses: string[] = [];
  for (let round = 0; round < 3; round++) {
    const instance = await started(forge, doing('serve'));
    addresses.push(instance.address);
    await forge.runtime.retire([instance], { stopTimeoutMs: 0 });
  }
  expect(new Set(addresses).size).toBe(3);
});

test('two forges on one engine with an app of the same name neither see nor reach nor remove each other’s', async () => {
  const [mine, theirs] = await Promise.all([started(forge, doing('serve')), started(other, doing('serve'))]);
  expect(await forge.runtime.findInstances()).toEqual([mine]);
  expect(await other.runtime.findInstances()).toEqual([theirs]);
  expect(await reachesFrom(other, mine)).toBe(1);
  expect(await reachesFrom(other, theirs)).toBe(0);
  await forge.runtime.removeApp('hello');
  expect(await answers(theirs)).toBe(true);
  await other.runtime.removeApp('hello');
  expect(await docker.listNetworks({ filters: { name: [networkName(other.dataId, 'hello')] } })).toEqual([]);
});

test('a network that a killed forge made and did not come to use goes at the next start, one in use stays', async () => {
  const label = { 'forge.data': forge.dataId };
  const unused = networkName(forge.dataId, 'unused');
  await docker.createNetwork({ Name: unused, Labels: { ...label, 'forge.app': 'unused' } });
  await started(forge, doing('serve'));
  const next = testRuntime(['hello'], forge.dataId);
  await next.runtime.removeAbandoned();
  const left = await docker.listNetworks({ filters: { label: [`forge.data=${forge.dataId}`] } });
  expect(left.map(({ Name }) => Name)).toEqual([networkName(forge.dataId, 'hello')]);
  await forge.runtime.removeApp('hello');
});

/** Exit status of a one-off command that connects to the instance: 0 if it gets through. */
async function reachesFrom({ runtime }: TestRuntime, { address, port }: Instance): Promise<number> {
  const script = `require('net').connect({host:'${address}',port:${port},timeout:1500}).on('connect',()=>process.exit(0)).on('timeout',()=>process.exit(1)).on('error',()=>process.exit(1))`;
  const signal = AbortSignal.timeout(30_000);
  return await runtime.runOneOff({
    ...{ release: doing('serve'), argv: ['node', '-e', script], env: {}, terminal: undefined, signal },
    ...{ stdin: Readable.from([]), stdout: new PassThrough().resume(), stderr: new PassThrough().resume() },
  });
}

test('30 apps have 30 networks, each with a subnet of its own, and none stays', async () => {
  const image = imageOf(await scratchImage(), { user: '65534', processTypes: { worker: { entrypoint: ['/busybox'], command: ['sleep', '600'] } } });
  const waiting = [...apps];
  const instances: Instance[] = [];
  const lane = async (): Promise<void> => {
    for (let app = waiting.pop(); app !== undefined; app = waiting.pop()) {
      instances.push(await started(forge, releaseOf(image, { app, formation: { worker: { quantity: 1, limits } } })));
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  const subnets = instances.map(({ address }) => address.replace(/\d+$/, '0/24'));
  expect(new Set(subnets).size).toBe(30);
  await Promise.all(apps.map((app) => forge.runtime.removeApp(app)));
  expect(await docker.listNetworks({ filters: { label: [`forge.data=${forge.dataId}`] } })).toEqual([]);
});

test('the watch waits for an engine that went away and says when it is back', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'forge-engine-'));
  const socketPath = join(directory, 'engine.sock');
  const connections = new Set<Socket>();
  const open = async () => {
    const server = createServer((client) => {
      const engine = connect('/var/run/docker.sock');
      for (const socket of [client, engine]) connections.add(socket.on('error', () => undefined));
      client.pipe(engine).pipe(client);
    }).listen(socketPath);
    await once(server, 'listening');
    return async () => {
      server.close();
      for (const socket of connections) socket.destroy();
      await once(server, 'close');
    };
  };
  const close = await open();
  const controller = new AbortController();
  const events: RuntimeEvent[] = [];
  const watching = (async () => {
    for await (const event of watch({ docker: connectDocker(socketPath), dataId: forge.dataId, log: pino({ level: 'silent' }) }, controller.signal)) events.push(event);
  })();
  await expect.poll(() => connections.size, patience).toBeGreaterThan(0);
  await close();
  const closeAgain = await open();
  await expect.poll(() => events, patience).toEqual([{ kind: 'reconnected' }]);
  controller.abort();
  await watching;
  await closeAgain();
  await rm(directory, { recursive: true });
});
