import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { basicAuth, type RegistryAccess } from '../../../src/build/cnb/registry.ts';
import { pullDigest, pushImage } from '../../../src/docker/registry-images.ts';
import { ensureNodeImage, nodeImage } from '../../support/images.ts';
import { type CnbWorld, createCnbWorld } from './cnb-world.ts';

let world: CnbWorld;
let access: RegistryAccess;
const signal = AbortSignal.timeout(300_000);

beforeAll(async () => {
  await ensureNodeImage();
  world = await createCnbWorld();
  access = await world.registry.ensure(signal);
});
afterAll(async () => await world.close());

const ask = async (path: string, headers: Record<string, string> = {}): Promise<Response> => await fetch(`http://${access.host}${path}`, { headers });

describe('the image registry', () => {
  it('listens on loopback only and refuses everybody without its password', async () => {
    expect((await ask('/v2/')).status).toBe(401);
    expect((await ask('/v2/', { authorization: `Basic ${Buffer.from('forge:wrong').toString('base64')}` })).status).toBe(401);
    expect((await ask('/v2/', { authorization: basicAuth(access.login) })).status).toBe(200);
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
    const digest = await pushImage(world.docker, { image: nodeImage, reference: `${access.host}/test:1`, login: access.login, signal });
    await execa('docker', ['rm', '-f', access.containerId]);
    const again = await world.registry.ensure(signal);
    expect(again.host).toBe(access.host);
    expect(again.containerId).not.toBe(access.containerId);
    access = again;
    await pullDigest(world.docker, { reference: `${access.host}/test@${digest}`, login: access.login, signal });
  });

  it('is started again when it was stopped', async () => {
    await execa('docker', ['stop', '-t', '1', access.containerId]);
    access = await world.registry.ensure(signal);
    expect((await ask('/v2/', { authorization: basicAuth(access.login) })).status).toBe(200);
  });

  it('forgets what no tag leads to and keeps the rest', async () => {
    const first = await pushImage(world.docker, { image: nodeImage, reference: `${access.host}/kept:1`, login: access.login, signal });
    await execa('docker', ['build', '-q', '-t', `forge-test/garbage:${world.dataId}`, '-'], { input: `FROM ${nodeImage}\nLABEL x=${world.dataId}\n` });
    const image = `forge-test/garbage:${world.dataId}`;
    const second = await pushImage(world.docker, { image, reference: `${access.host}/moved:1`, login: access.login, signal });
    await pushImage(world.docker, { image: nodeImage, reference: `${access.host}/moved:1`, login: access.login, signal });
    await world.registry.collectGarbage(signal);
    const status = async (name: string, digest: string): Promise<number> => {
      const accept = 'application/vnd.docker.distribution.manifest.v2+json';
      return (await ask(`/v2/${name}/manifests/${digest}`, { authorization: basicAuth(access.login), accept })).status;
    };
    expect(await status('kept', first)).toBe(200);
    expect(await status('moved', second)).toBe(404);
    await execa('docker', ['rmi', '-f', image]);
  });
});
