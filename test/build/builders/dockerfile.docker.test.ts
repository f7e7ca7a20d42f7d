import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDockerfileBuilder, type DockerfileBuilderOptions } from '../../../src/build/builders/dockerfile.ts';
import { connectDocker } from '../../../src/docker/connect.ts';
import type { Image } from '../../../src/domain.ts';
import { ensureNodeImage, nodeImage } from '../../support/images.ts';
import { removeAppImages, testBuild, type TestBuild, type TestBuildOptions } from '../../support/build-request.ts';

const docker = connectDocker('/var/run/docker.sock');
const config = { buildMemory: 2 ** 31, buildTimeout: 60_000, buildExtraCa: '', buildHttpProxy: '', buildHttpsProxy: '', buildNoProxy: '' };
/** An empty folder for control groups makes forge take the classic builder. */
const engines: [string, Partial<DockerfileBuilderOptions>][] = [['BuildKit', {}], ['the classic builder', { cgroupDirectory: '/nonexistent' }]];
const apps = new Set<string>();
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'forge-dockerfile-'));
  await ensureNodeImage();
});
afterAll(async () => {
  for (const app of apps) await removeAppImages(app);
  await rm(directory, { recursive: true });
});

async function requested(files: Record<string, string>, options: Partial<TestBuildOptions> = {}): Promise<TestBuild> {
  const request = await testBuild({ directory, files, ...options });
  apps.add(request.app);
  return request;
}

async function build(request: TestBuild, options: Partial<DockerfileBuilderOptions> = {}): Promise<Image> {
  return await createDockerfileBuilder({ docker, dataId: 'builder-tests', config, ...options }).build(request);
}

const run = async (image: Image, ...argv: string[]): Promise<string> => (await execa('docker', ['run', '--rm', '--label', 'forge.test=build', image.reference, ...argv])).stdout;
/** Something that no other run has built. */
const fresh = (): string => `RUN true ${Math.random()}`;

describe.each(engines)('a Dockerfile built by %s', (name, options) => {
  test('becomes an image that runs, and its output is shown', async () => {
    const request = await requested({
      Dockerfile: `FROM ${nodeImage}\n${fresh()}\nWORKDIR /app\nCOPY . .\nRUN echo "it says $((40 + 2))" && echo err >&2\nUSER 1234\nEXPOSE 9000 53/udp 8000\nCMD ["node", "a.js"]\n`,
      'a.js': 'console.log("hello")',
    });
    const image = await build(request, options);
    expect(image).toMatchObject({ builder: 'dockerfile', user: '1234', exposedPorts: [8000, 9000], processTypes: { web: { command: undefined } }, launcher: undefined });
    expect(image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await run(image)).toBe('hello');
    expect(request.output()).toContain(`-----> Building the Dockerfile with ${name}`);
    expect(request.output()).toContain('       it says 42\n');
    expect(request.output()).toContain('       err\n');
  });

  test('sees neither what .dockerignore leaves out nor config that was not named', async () => {
    const request = await requested(
      {
        Dockerfile: `FROM ${nodeImage}\nARG API_URL\nARG SECRET\nARG SOURCE_VERSION\nCOPY . /app\nRUN ls -a /app > /list && echo "$API_URL|$SECRET|$SOURCE_VERSION" >> /list\nCMD ["cat", "/list"]\n`,
        '.dockerignore': '*.log\nsecrets\n',
        'a.log': 'x',
        'secrets/key': 'x',
        'kept.txt': 'x',
      },
      { buildArgs: ['API_URL'], config: { API_URL: 'https://api', SECRET: 'hidden' } },
    );
    const listed = await run(await build(request, options));
    expect(listed).toContain('kept.txt');
    expect(listed).not.toMatch(/a\.log|secrets|hidden/);
    expect(listed).toContain('https://api||c0ffee');
  });

  test('that fails shows its output and says which step ended how', async () => {
    const request = await requested({ Dockerfile: `FROM ${nodeImage}\nRUN echo before; exit 7\nCMD ["x"]\n` });
    await expect(build(request, options)).rejects.toMatchObject({ code: 'failed', message: 'the build step "echo before; exit 7" ended with status 7' });
    expect(request.output()).toContain('       before\n');
  });

  test('that takes more memory than its limit is ended, and memory is named', async () => {
    const script = 'import time; kept = [bytearray(8 << 20) for _ in range(60)]; time.sleep(20)';
    const request = await requested({ Dockerfile: `FROM ${nodeImage}\n${fresh()}\nRUN python3 -c '${script}'\nCMD ["x"]\n` });
    await expect(build(request, { ...options, config: { ...config, buildMemory: 64 * 2 ** 20 } })).rejects.toMatchObject({
      code: 'exhausted',
      message: expect.stringContaining('more memory than the limit of 64M') as string,
    });
  });

  test('that takes longer than its limit is ended, and the limit is named', async () => {
    const request = await requested({ Dockerfile: `FROM ${nodeImage}\n${fresh()}\nRUN sleep 30\nCMD ["x"]\n` });
    await expect(build(request, { ...options, config: { ...config, buildTimeout: 1500 } })).rejects.toMatchObject({
      code: 'timeout',
      message: 'the build did not end within its time limit of 1.5 s (setting buildTimeout)',
    });
  });

  test('ends in the engine when the client leaves', async () => {
    const controller = new AbortController();
    const mark = `forge-cancel-${Math.random()}`;
    const request = await requested({ Dockerfile: `FROM ${nodeImage}\nRUN echo started; sleep 60; echo ${mark}\nCMD ["x"]\n` }, { signal: controller.signal });
    const built = build(request, options);
    await Promise.race([request.waitForOutput('       started\n'), built]);
    controller.abort();
    await expect(built).rejects.toMatchObject({ code: 'canceled' });
    await expect.poll(() => isRunning(mark), { timeout: 10_000 }).toBe(false);
  });
});

describe('a Dockerfile', () => {
  test('without changes gives the same image, whatever the times of its files', async () => {
    const files = { Dockerfile: `FROM ${nodeImage}\n${fresh()}\nCOPY . /app\nCMD ["x"]\n`, a: 'a' };
    const first = await build(await requested(files, { app: 'same' }));
    const second = await build(await requested(files, { app: 'same', mtime: new Date() }));
    expect(second.digest).toBe(first.digest);
  });

  test('has cache mounts of its own app only', async () => {
    const target = `/cache-${Math.random()}`;
    const reading = (app: string) =>
      requested({ Dockerfile: `FROM ${nodeImage}\n${fresh()}\nRUN --mount=type=cache,target=${target} ls ${target} > /list; touch ${target}/kept\nCMD ["cat", "/list"]\n` }, { app });
    expect(await run(await build(await reading('cache-a')))).toBe('');
    expect(await run(await build(await reading('cache-a')))).toBe('kept');
    expect(await run(await build(await reading('cache-b')))).toBe('');
  });

  test('whose base image cannot be had is refused naming it and what to do', async () => {
    const request = await requested({ Dockerfile: 'FROM registry.invalid/team/base:1\nCMD ["x"]\n' });
    await expect(build(request)).rejects.toMatchObject({
      code: 'failed',
      message: 'the Dockerfile needs the image registry.invalid/team/base:1, and its registry cannot be reached from this machine',
      hint: expect.stringContaining('docker load') as string,
    });
  });

  test.each([
    [`FROM ${nodeImage}\nCOPYY a b\n`, /unknown instruction: COPYY/],
    [`FROM ${nodeImage}\nCOPY nothing-here /\n`, /nothing-here.*not found/],
    [`FROM ${nodeImage}\nENTRYPOINT []\n`, /neither CMD nor ENTRYPOINT/],
  ])('that is wrong fails with the reason: %j', async (dockerfile, message) => {
    await expect(build(await requested({ Dockerfile: dockerfile }))).rejects.toThrow(message);
  });

  test('with a Procfile runs its commands', async () => {
    const request = await requested({ Dockerfile: `FROM ${nodeImage}\nCMD ["x"]\n`, Procfile: 'web: node a.js $PORT\nworker: node b.js\n' });
    expect((await build(request)).processTypes).toEqual({
      web: { entrypoint: undefined, command: ['/bin/sh', '-c', 'exec node a.js $PORT'] },
      worker: { entrypoint: undefined, command: ['node', 'b.js'] },
    });
  });
});

/** Whether a process of this machine has the text in its command line. */
async function isRunning(text: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.some((line) => line.includes(text));
}
