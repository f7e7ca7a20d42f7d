/** Tasks of a deploy on the real engine: their output, their end, and what is kept of them. */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findImage } from '../../src/docker/images.ts';
import type { Image, ProcessCommand, Release } from '../../src/domain.ts';
import { createReport } from '../../src/report.ts';
import type { TaskRequest } from '../../src/runtime/run-task.ts';
import { ensureNodeImage, nodeImage, testImage } from '../support/images.ts';
import { until } from '../support/forge.ts';
import { docker, imageOf, releaseOf, testRuntime, type TestRuntime } from './support.ts';

let forge: TestRuntime;
const images: string[] = [];
beforeAll(async () => {
  await ensureNodeImage();
  forge = testRuntime(['hello']);
});
afterAll(async () => {
  await forge?.[Symbol.asyncDispose]();
  for (const id of images) await docker.getImage(id).remove({ force: true });
});

interface Run extends Partial<Omit<TaskRequest, 'release'>> {
  readonly script?: string;
  readonly image?: Partial<Image> & { readonly reference: string };
  readonly release?: Partial<Release>;
}

function run({ script = 'true', image, release = {}, ...more }: Run = {}) {
  const output = new PassThrough();
  const command: ProcessCommand = { entrypoint: ['/bin/sh'], command: ['-c', script] };
  const ended = forge.runtime
    .runTask({
      release: releaseOf(imageOf(image?.reference ?? nodeImage, image), release),
      task: 'release',
      commandFor: () => command,
      deploymentId: 'd1',
      timeoutMs: 60_000,
      report: createReport([output]),
      signal: AbortSignal.timeout(60_000),
      ...more,
    })
    .finally(() => output.end());
  return { ended, output };
}
const containers = () => docker.listContainers({ all: true, filters: { label: [`forge.data=${forge.dataId}`] } });

test('what a task writes is reported line by line, both streams, and followed for the app’s log', async () => {
  const { ended, output } = run({ script: 'echo one; echo two >&2; printf three' });
  expect((await text(output)).split('\n').toSorted()).toEqual(['', '       one', '       three', '       two']);
  expect(await ended).toBeUndefined();
  expect(forge.followed.at(-1)).toMatchObject({ app: 'hello', name: 'release.1' });
  expect(forge.settled.at(-1)).toBe(forge.followed.at(-1)?.containerId);
  expect(await containers()).toEqual([]);
});

test('a line is there before the task has ended', async () => {
  const leave = new AbortController();
  const { ended, output } = run({ script: 'echo began; exec sleep 60', signal: leave.signal });
  const failed = expect(ended).rejects.toMatchObject({ code: 'canceled' });
  for await (const chunk of output) {
    expect(String(chunk)).toBe('       began\n');
    break;
  }
  const began = performance.now();
  leave.abort();
  await failed;
  expect(performance.now() - began).toBeLessThan(2_000);
  await until('its container is gone', async () => (await containers()).length === 0);
});

test('a task has the config, the place and no terminal', async () => {
  const { ended, output } = run({ script: 'echo $SECRET $PORT $FORGE_RELEASE $DYNO; test -t 1 || echo no terminal', release: { config: { SECRET: 'abc' } } });
  expect(await text(output)).toBe('       abc 5000 v1 release.1\n       no terminal\n');
  await ended;
});

describe('a task that fails', () => {
  test('says which it was, its status, and leaves nothing', async () => {
    const { ended } = run({ script: 'echo no such table; exit 3' });
    await expect(ended).rejects.toMatchObject({ code: 'failed', message: 'the release task failed with status 3' });
    expect(await containers()).toEqual([]);
  });

  test('by its memory limit says so', async () => {
    const limits = { memoryBytes: 32 * 1024 * 1024, cpuShares: 1024, pids: 100 };
    const { ended } = run({ script: 'exec node -e "const a=[];for(;;)a.push(Buffer.alloc(4<<20,1))"', release: { formation: { web: { quantity: 1, limits } } } });
    await expect(ended).rejects.toMatchObject({ code: 'failed', hint: expect.stringMatching(/32 MiB|64M/) as string });
  });

  test('by taking too long names the setting', async () => {
    const { ended } = run({ script: 'sleep 60', timeoutMs: 500 });
    await expect(ended).rejects.toMatchObject({ code: 'timeout', message: 'the release task did not end within 0.5 s (setting taskTimeout)' });
    await until('its container is gone', async () => (await containers()).length === 0);
  });

  test('by a pusher who has stopped reading is over at its limit all the same', async () => {
    // It has ended long before: what it wrote is less than the engine holds, and more than the pusher takes.
    const { ended } = run({ script: 'seq 1 20000', timeoutMs: 4_000 });
    await expect(ended).rejects.toMatchObject({ code: 'timeout', message: 'the release task did not end within 4 s (setting taskTimeout)' });
    await until('its container is gone', async () => (await containers()).length === 0);
  });

  test('to be found in the image says what is missing', async () => {
    const { ended } = run({ commandFor: () => ({ entrypoint: ['/no/such'], command: [] }) });
    await expect(ended).rejects.toMatchObject({ message: 'the release task failed with status 127', hint: 'status 127: the command was not found in the image' });
    expect(await containers()).toEqual([]);
  });
});

describe('a kept task', () => {
  test('leaves its files in an image that runs as before and knows none of its config', async () => {
    const reference = await testImage({ name: 'task', dockerfile: `FROM ${nodeImage}\nENV COLOR=red KIND=image\nWORKDIR /app\nRUN chown 1000:1000 /app\nUSER 1000:1000\nENTRYPOINT ["node", "-e"]\nCMD ["0"]\n` });
    const { ended } = run({
      script: 'echo made > /app/made; test "$COLOR" = green',
      image: { reference, user: '1000:1000' },
      release: { config: { SECRET: 'hunter2-hunter2', COLOR: 'green' } },
      task: 'predeploy',
      keepAs: 'forge/hello:d1-test',
    });
    const id = (await ended) ?? '';
    images.push(id);
    const [before, after] = await Promise.all([docker.getImage(reference).inspect(), docker.getImage(id).inspect()]);
    expect(after.Id).toBe(id);
    expect(after.RepoTags).toEqual(['forge/hello:d1-test']);
    expect({ ...after.Config, Labels: {} }).toEqual({ ...before.Config, Labels: {} });
    expect(after.Config.Labels).toEqual({ 'forge.app': 'hello', 'forge.data': forge.dataId });
    expect(JSON.stringify([after, await docker.getImage(id).history()])).not.toContain('hunter2');
    const unnamed = await docker.listImages({ filters: { dangling: ['true'], label: [`forge.data=${forge.dataId}`] } });
    expect(unnamed).toEqual([]);
    const { ended: again, output } = run({ script: 'cat /app/made; env', image: { reference: id, user: '1000:1000' } });
    const lines = (await text(output)).split('\n').map((line) => line.trim());
    await again;
    expect(lines).toContain('made');
    expect(lines).toContain('COLOR=red');
    expect(lines.some((line) => line.startsWith('SECRET'))).toBe(false);
  });

  test('that fails keeps nothing', async () => {
    const { ended } = run({ script: 'echo x > /tmp/x; exit 1', task: 'predeploy', keepAs: 'forge/hello:d2-test' });
    await expect(ended).rejects.toThrow('the predeploy task failed with status 1');
    expect(await findImage(docker, 'forge/hello:d2-test')).toBeUndefined();
  });
});

test('tasks that an earlier forge left are removed at the next start', async () => {
  const leave = new AbortController();
  const { ended, output } = run({ script: 'echo began; exec sleep 60', task: 'postdeploy', signal: leave.signal });
  const failed = expect(ended).rejects.toThrow('the postdeploy task failed with status 137');
  for await (const _ of output) break;
  await forge.runtime.removeAbandoned();
  expect((await containers()).map(({ State }) => State)).toEqual(['running']);
  await testRuntime(['hello'], forge.dataId).runtime.removeAbandoned();
  await failed;
  expect(await containers()).toEqual([]);
  expect(await forge.runtime.findInstances()).toEqual([]);
});
