import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createImageBuilder } from '../../../src/build/builders/image.ts';
import { connectDocker } from '../../../src/docker/connect.ts';
import { inspectImage } from '../../../src/docker/images.ts';
import { testBuild } from '../../support/build-request.ts';
import { behaviourImage } from '../../support/images.ts';

const docker = connectDocker('/var/run/docker.sock');
let directory: string;
let reference: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'forge-prebuilt-'));
  reference = await behaviourImage();
});
afterAll(() => rm(directory, { recursive: true }));

async function build(name: string) {
  const request = await testBuild({ directory, files: { Dockerfile: '' }, origin: { kind: 'image', reference: name } });
  const image = await createImageBuilder({ docker, config: { buildTimeout: 30_000 } }).build(request);
  return { image, output: request.output() };
}

test('An image of the engine is taken by its id without asking a registry', async () => {
  const { id } = await inspectImage(docker, reference);
  const { image, output } = await build(id);
  expect(image).toMatchObject({ reference: id, digest: id, builder: 'image', processTypes: { web: { command: undefined } } });
  expect(output).not.toContain('Pulling');
});

test('A name that no registry has is taken from the engine, and the pusher is told', async () => {
  const { image, output } = await build(reference);
  expect(image.reference).toMatch(/^sha256:/);
  expect(output).toContain(`-----> Pulling ${reference}`);
  expect(output).toContain('using the image of that name that the engine has');
});

test('An image that is nowhere is refused naming it', async () => {
  await expect(build('registry.invalid/nobody/nothing:1')).rejects.toMatchObject({
    code: 'unavailable',
    message: 'could not pull the image registry.invalid/nobody/nothing:1: its registry cannot be reached from this machine',
  });
  await expect(build(`sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({ code: 'not-found' });
  await expect(build('-v /:/x')).rejects.toMatchObject({ code: 'invalid' });
});
