import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ForgeError } from '../../src/errors.ts';
import { networkName } from '../../src/runtime/network.ts';
import { behaviourImage } from '../support/images.ts';
import { checkedBy, docker, imageOf, limits, releaseOf, startOf, testRuntime, type TestRuntime } from './support.ts';

/** Engines of busy machines are slow. */
const patience = { timeout: 30_000 };
let forge: TestRuntime;
let reference: string;
const text = async (address: string, path = '/') => await (await fetch(`http://${address}:5000${path}`)).text();
const failureOf = async (promise: Promise<unknown>): Promise<ForgeError> => {
  const error = await promise.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ForgeError);
  return error as ForgeError;
};
const doing = (action: string) => releaseOf(imageOf(reference), { config: { DO: action } });

beforeAll(async () => {
  reference = await behaviourImage();
  forge = testRuntime(['hello']);
});
afterAll(async () => await forge?.[Symbol.asyncDispose]());

const expectNothingLeft = async () => {
  expect(await docker.listContainers({ all: true, filters: { label: [`forge.data=${forge.dataId}`] } })).toEqual([]);
  expect(await docker.listNetworks({ filters: { label: [`forge.data=${forge.dataId}`] } })).toEqual([]);
};

describe('a release that starts', () => {
  test('answers from its own address, is found again, and is gone after it was retired', async () => {
    const [instance, ...others] = await forge.runtime.startRelease(startOf(doing('graceful')));
    expect(others).toEqual([]);
    if (!instance) throw new Error('nothing started');
    expect(await text(instance.address)).toBe('hello from web.1');
    expect(await forge.runtime.findInstances('hello')).toEqual([instance]);
    expect(await forge.runtime.findInstances('other')).toEqual([]);
    expect(forge.followed).toEqual([instance]);

    expect(await forge.runtime.retire([instance], { stopTimeoutMs: 5_000 })).toEqual([]);
    expect(forge.settled).toEqual([instance.containerId]);
    await expectNothingLeft();
  });

  test('runs all process types beside the release before it', async () => {
    const web = { quantity: 2, limits };
    const old = await forge.runtime.startRelease(startOf(doing('serve')));
    const image = imageOf(reference, { processTypes: { web: { entrypoint: undefined, command: undefined }, worker: { entrypoint: ['sh', '-c'], command: ['DO=work exec node app.js'] } } });
    const next = await forge.runtime.startRelease(startOf(releaseOf(image, { version: 2, formation: { web, worker: { quantity: 1, limits } } })));
    expect(next.map(({ name }) => name)).toEqual(['web.1', 'web.2', 'worker.1']);
    const addresses = [...old, ...next].map(({ address }) => address);
    expect(new Set(addresses).size).toBe(4);
    expect(await text(addresses[0] ?? '')).toBe('hello from web.1');
    await forge.runtime.retire([...old, ...next], { stopTimeoutMs: 2_000 });
    await expectNothingLeft();
  });
});

describe('a release that fails leaves nothing behind and says why', () => {
  test('it exits at once: status and last lines', async () => {
    const failure = await failureOf(forge.runtime.startRelease(startOf(doing('exit'))));
    expect(failure.message).toBe('web.1 exited with status 3 instead of running');
    expect(failure.details).toEqual(['cannot read the settings']);
    await expectNothingLeft();
  });

  test('it listens on another port: both ports', async () => {
    const failure = await failureOf(forge.runtime.startRelease(startOf(doing('wrong-port'))));
    expect(failure.message).toBe('web.1 listens on port 3000, expected is port 5000');
    expect(failure.hint).toContain('forge ports:set hello 3000');
    expect(failure.details).toEqual(['listening on 3000']);
    await expectNothingLeft();
  });

  test('it listens on 127.0.0.1 only: what to bind to', async () => {
    const failure = await failureOf(forge.runtime.startRelease(startOf(doing('loopback'))));
    expect(failure.message).toContain('listens on port 5000 of 127.0.0.1 only');
    expect(failure.hint).toContain('0.0.0.0');
    await expectNothingLeft();
  });

  test('it never gets ready: which probe and how long', async () => {
    const release = { ...doing('silent'), settings: checkedBy(undefined, 1_500) };
    const failure = await failureOf(forge.runtime.startRelease(startOf(release)));
    expect(failure.code).toBe('timeout');
    expect(failure.message).toBe('web.1 was not ready within 1.5 s: a TCP connection to port 5000: connection refused (nothing listens there)');
    expect(failure.details).toEqual(['thinking']);
  });

  test('its HTTP check answers 500: path and status', async () => {
    const release = { ...doing('serve'), settings: checkedBy('/broken', 1_500) };
    const failure = await failureOf(forge.runtime.startRelease(startOf(release)));
    expect(failure.message).toBe('web.1 was not ready within 1.5 s: GET /broken on port 5000: answered 500');
  });

  test('it runs out of memory: named as such with the limit', async () => {
    const failure = await failureOf(forge.runtime.startRelease(startOf(doing('memory'))));
    expect(failure.message).toMatch(/^web\.1 (ran out of memory: it was killed at its limit|was killed \(status 137\), as happens at its memory limit) of 128 MiB$/);
  });

  test('its command does not exist', async () => {
    const image = imageOf(reference, { processTypes: { web: { entrypoint: ['/no/such/command'], command: [] } } });
    const failure = await failureOf(forge.runtime.startRelease(startOf(releaseOf(image))));
    expect(failure.message + failure.details.join()).toContain('/no/such/command');
    await expectNothingLeft();
  });

  test('a worker that dies takes the ready web with it', async () => {
    const image = imageOf(reference, { processTypes: { web: { entrypoint: undefined, command: undefined }, worker: { entrypoint: ['sh', '-c', 'exit 9'], command: [] } } });
    const failure = await failureOf(forge.runtime.startRelease(startOf(releaseOf(image, { formation: { web: { quantity: 1, limits }, worker: { quantity: 1, limits } } }))));
    expect(failure.message).toBe('worker.1 exited with status 9 instead of running');
    await expectNothingLeft();
  });

  test('it is canceled while it waits: nothing stays', async () => {
    const controller = new AbortController();
    const starting = forge.runtime.startRelease(startOf(doing('silent'), controller.signal));
    const canceled = failureOf(starting);
    await expect.poll(() => forge.runtime.findInstances('hello'), patience).toHaveLength(1);
    controller.abort();
    expect((await canceled).code).toBe('canceled');
    await expectNothingLeft();
  });

  test('its image is gone', async () => {
    const failure = await failureOf(forge.runtime.startRelease(startOf(releaseOf(imageOf('forge-test/none:1')))));
    expect(failure.code).toBe('not-found');
    await expectNothingLeft();
  });
});

test('the network is in the pool and its bridge has the prefix that the firewall matches', async () => {
  const instances = await forge.runtime.startRelease(startOf(doing('serve')));
  const network = (await docker.getNetwork(networkName(forge.dataId, 'hello')).inspect()) as { Options: Record<string, string>; IPAM: { Config: { Subnet: string }[] } };
  expect(network.Options['com.docker.network.bridge.name']).toMatch(/^fg[0-9a-f]{12}$/);
  expect(network.IPAM.Config[0]?.Subnet).toMatch(/^10\.2\d\d\.\d+\.0\/24$/);
  await forge.runtime.retire(instances, { stopTimeoutMs: 0 });
});
