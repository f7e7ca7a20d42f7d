import { PassThrough, Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobStart } from '../../src/runtime/job-containers.ts';
import { sweepBuilds } from '../../src/build/cnb/sweep-builds.ts';
import { sweepVolumeContainers } from '../../src/runtime/volume-store.ts';
import { behaviourImage, testImage } from '../support/images.ts';
import { docker, imageOf, releaseOf, startOf, testRuntime, type TestRuntime } from './support.ts';

let forge: TestRuntime;
let reference: string;
beforeAll(async () => {
  reference = await behaviourImage();
  forge = testRuntime(['hello']);
});
afterAll(async () => await forge?.[Symbol.asyncDispose]());

const start = (id: string, argv: readonly string[], more: Partial<JobStart> = {}) =>
  forge.runtime.jobs.start({ id, name: `run.${id}`, release: releaseOf(imageOf(reference)), argv, env: {}, limitsOf: undefined, reader: undefined, signal: AbortSignal.timeout(60_000), ...more });
const containers = () => docker.listContainers({ all: true, filters: { label: [`forge.data=${forge.dataId}`] } });
const patience = AbortSignal.timeout(60_000);

test('a job outlives the sweep of a start, is no instance, and is found by its label with what became of it', async () => {
  const running = await start('aaaaaaaa', ['sleep', '600']);
  const over = await start('bbbbbbbb', ['sh', '-c', 'exit 3']);
  expect(await forge.runtime.jobs.ended(over, patience)).toBe(3);
  expect(forge.settled).toContain(over.containerId);
  await testRuntime(['hello'], forge.dataId).runtime.removeAbandoned();
  expect(await forge.runtime.findInstances()).toEqual([]);
  const found = await forge.runtime.jobs.find();
  expect(found.map(({ id, app, name, state }) => [id, app, name, state]).sort()).toEqual([['aaaaaaaa', 'hello', 'run.aaaaaaaa', 'running'], ['bbbbbbbb', 'hello', 'run.bbbbbbbb', 'ended']]);
  await forge.runtime.jobs.stop(running);
  expect(await forge.runtime.jobs.ended(running, patience)).toBe(143);
  for (const job of found) await forge.runtime.jobs.remove(job);
  expect(await containers()).toEqual([]);
  await expect(forge.runtime.jobs.ended(running, patience)).rejects.toMatchObject({ code: 'not-found' });
});

test('who reads along gets every byte, both streams apart', async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const job = await start('cccccccc', ['sh', '-c', 'echo out; echo err >&2'], { reader: { stdout, stderr, signal: patience } });
  await job.isRead;
  expect([String(stdout.read()), String(stderr.read())]).toEqual(['out\n', 'err\n']);
  await forge.runtime.jobs.remove(job);
});

test('one that cannot start leaves nothing behind', async () => {
  await expect(start('dddddddd', ['true'], { limitsOf: 'nope' })).rejects.toMatchObject({ code: 'invalid' });
  await expect(start('eeeeeeee', ['true'], { release: releaseOf(imageOf(`sha256:${'0'.repeat(64)}`)) })).rejects.toThrow();
  expect(await containers()).toEqual([]);
});

test('a reader that takes nothing does not keep the app from being removed', async () => {
  let taken = 0;
  const stuck = new Writable({ highWaterMark: 16 * 1024, write: (chunk: Buffer) => void (taken += chunk.length) });
  const job = await start('ffffffff', ['sh', '-c', 'yes | head -c 50000000'], { reader: { stdout: stuck, stderr: new PassThrough(), signal: patience } });
  await expect.poll(() => taken, { timeout: 30_000 }).toBeGreaterThan(0);
  await forge.runtime.removeApp('hello');
  await job.isRead;
  expect(await containers()).toEqual([]);
});

test('labels of an image make its containers no job, build, volume or instance of another app', async () => {
  const said = ['app=other', 'job=aaaaaaaa', 'build=x', 'role=volume', 'type=run', 'instance=run.1'].map((label) => `forge.${label}`).join(' ');
  const posing = await testImage({ name: 'posing', dockerfile: `FROM ${reference}\nLABEL forge.data=${forge.dataId} ${said}\n` });
  const instances = await forge.runtime.startRelease(startOf(releaseOf(imageOf(posing), { config: { DO: 'graceful' } })));
  const job = await start('bbbbbbbb', ['sleep', '600'], { release: releaseOf(imageOf(posing)) });
  expect((await forge.runtime.jobs.find()).map(({ id }) => id)).toEqual(['bbbbbbbb']);
  await testRuntime(['hello'], forge.dataId).runtime.removeAbandoned();
  await sweepBuilds(docker, forge.dataId);
  await sweepVolumeContainers({ docker, dataId: forge.dataId });
  expect(await forge.runtime.findInstances()).toEqual(instances);
  expect((await containers()).map(({ Id }) => Id).sort()).toEqual([...instances.map(({ containerId }) => containerId), job.containerId].sort());
  await forge.runtime.removeApp('hello');
});
