import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answers, findDigest, type RegistryAccess } from '../../../src/build/cnb/registry-client.ts';
import { pullDigest, pushImage } from '../../../src/docker/registry-images.ts';
import { type CnbWorld, createCnbWorld } from './cnb-world.ts';

let world: CnbWorld;
let access: RegistryAccess;
let one: string;
let two: string;
const signal = AbortSignal.timeout(300_000);

beforeAll(async () => {
  world = await createCnbWorld();
  // On a machine that builds nothing with buildpacks this must neither fail nor make a registry.
  await world.registry.collectGarbage(signal);
  [one, two] = await Promise.all([makeImage('one'), makeImage('two')]);
  access = await world.registry.ensure(signal);
});
afterAll(async () => {
  await world.close();
  await execa('docker', ['rmi', '-f', one, two]);
});

/** A small image that differs from the others. */
async function makeImage(name: string): Promise<string> {
  const reference = `forge-test/registry-${name}:${world.dataId}`;
  const folder = join(world.data, name);
  await writeFile(folder, name);
  await execa('tar', ['-C', world.data, '-cf', `${folder}.tar`, name]);
  await execa('docker', ['import', `${folder}.tar`, reference]);
  return reference;
}

const ask = async (path: string, headers: Record<string, string> = {}): Promise<Response> => await fetch(`http://${access.host}${path}`, { headers });

describe('the image registry', () => {
  it('listens on loopback only and refuses everybody without its password', async () => {
    expect((await ask('/v2/')).status).toBe(401);
    expect((await ask('/v2/', { authorization: `Basic ${Buffer.from('forge:wrong').toString('base64')}` })).status).toBe(401);
    expect(await answers(access, signal)).toBe(true);
    const { stdout } = await execa('docker', ['port', access.containerId]);
    expect(stdout.split('\n').every((line) => line.endsWith(` ${access.host}`))).toBe(true);
    expect((await stat(join(world.data, 'registry.json'))).mode & 0o777).toBe(0o600);
  });

  it('answers in milliseconds that it runs, to many at a time', async () => {
    const started = performance.now();
    const all = await Promise.all(Array.from({ length: 20 }, () => world.registry.ensure(signal)));
    expect(new Set(all.map(({ containerId }) => containerId))).toEqual(new Set([access.containerId]));
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('comes back with its data and on its port after its container was removed', async () => {
    const digest = await pushImage(world.docker, { image: one, reference: `${access.host}/test:1`, login: access.login, signal });
    await execa('docker', ['rm', '-f', access.containerId]);
    // Several builds find it gone at the same time: none may get it before it answers.
    const [again, ...others] = await Promise.all(Array.from({ length: 5 }, async () => {
      const found = await world.registry.ensure(signal);
      expect(await answers(found, signal)).toBe(true);
      return found;
    })) as [RegistryAccess, ...RegistryAccess[]];
    expect(others).toEqual(others.map(() => again));
    expect(again.host).toBe(access.host);
    expect(again.containerId).not.toBe(access.containerId);
    access = again;
    await pullDigest(world.docker, { reference: `${access.host}/test@${digest}`, login: access.login, signal });
  });

  it('is started again when it was stopped', async () => {
    await execa('docker', ['stop', '-t', '1', access.containerId]);
    access = await world.registry.ensure(signal);
    expect(await answers(access, signal)).toBe(true);
  });

  it('forgets what no tag leads to and keeps the rest', async () => {
    const first = await pushImage(world.docker, { image: one, reference: `${access.host}/kept:1`, login: access.login, signal });
    const second = await pushImage(world.docker, { image: two, reference: `${access.host}/moved:1`, login: access.login, signal });
    await pushImage(world.docker, { image: one, reference: `${access.host}/moved:1`, login: access.login, signal });
    await world.registry.collectGarbage(signal);
    expect(await findDigest(access, 'kept:1', signal)).toBe(first);
    expect(await findDigest(access, `moved@${second}`, signal)).toBeUndefined();
  });

  it('forgets an app’s image, in the engine too, and says nothing when there is none', async () => {
    await pushImage(world.docker, { image: one, reference: `${access.host}/apps/gone:latest`, login: access.login, signal });
    const inEngine = async (): Promise<string> => (await execa('docker', ['images', '-q', `${access.host}/apps/gone`])).stdout;
    expect(await inEngine()).not.toBe('');
    await world.registry.forget('apps/gone:latest', signal);
    expect(await findDigest(access, 'apps/gone:latest', signal)).toBeUndefined();
    expect(await inEngine()).toBe('');
    await world.registry.forget('apps/never:latest', signal);
  });
});
