/** The disk stays bounded, and what may be gone back to stays where it is. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appFolder, bootForge, dockerfileApp, type RunningForge, until } from '../support/forge.ts';

let forge: RunningForge;
let foreign: string;
const label = 'forge.test=retention';

beforeAll(async () => {
  forge = await bootForge({ settings: { keepReleases: '3', keepDeployments: '5', buildCacheBytes: '0', drainTimeout: '1' } });
  foreign = await makeForeignImage();
});
afterAll(async () => {
  await execa('docker', ['rmi', '-f', foreign], { reject: false });
  await forge.remove();
});

interface SeenRelease {
  readonly version: number;
  readonly isImageGone: boolean;
}

test('after each release only the images that served last are kept, and each of them can be gone back to', async () => {
  expect((await forge.push(await appFolder(dockerfileApp('other')), 'other')).exitCode).toBe(0);
  const folder = await appFolder(dockerfileApp('1'));
  for (let version = 1; version <= 8; version++) {
    await write(folder, String(version));
    expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
  }
  await until('only three images are left', async () => (await imagesOf('hello')).length === 3);
  expect(gone(await forge.json('releases:list', 'hello'))).toEqual([5, 4, 3, 2, 1]);
  expect((await forge.get('hello')).body).toBe('8');

  const refused = await forge.ssh$(['releases:rollback', 'hello', 'v5']);
  expect(refused.exitCode).toBe(5);
  expect(refused.stderr).toContain('the image of v5 is not on this machine any more');
  expect(await forge.ssh$(['releases:rollback', 'hello', 'v6'])).toMatchObject({ exitCode: 0 });
  expect((await forge.get('hello')).body).toBe('6');

  expect((await forge.get('other')).body).toBe('other');
  expect(await imagesOf('other')).toHaveLength(1);
  expect(await isThere(foreign)).toBe(true);
});

test('deployments and their logs are bounded, but for those that tell which kept releases have served', async () => {
  await until('the oldest deployments are gone', async () => (await forge.deployments('hello')).length <= 6);
  const logs = await readdir(join(forge.data, 'deployments'));
  const ids = [...(await forge.deployments('hello')), ...(await forge.deployments('other'))].map(({ id }) => `${id}.log`);
  expect(logs.sort()).toEqual(ids.sort());
});

test('a config change makes a release but no image, so the code before it can still be gone back to', async () => {
  for (let value = 0; value < 4; value++) expect(await forge.ssh$(['config:set', 'hello', `VALUE=${value}`])).toMatchObject({ exitCode: 0 });
  expect(await forge.ssh$(['releases:rollback', 'hello', 'v8'])).toMatchObject({ exitCode: 0 });
  expect((await forge.get('hello')).body).toBe('8');
  expect(await imagesOf('hello')).toHaveLength(3);
});

test('an image of a push that failed goes, and a build like a collected one brings its release back', async () => {
  const broken = await appFolder({ ...dockerfileApp('broken'), 'server.js': 'process.exit(3);\n' });
  expect((await forge.push(broken, 'fails')).exitCode).not.toBe(0);
  await until('its image is gone', async () => (await imagesOf('fails')).length === 0);

  const folder = await appFolder(dockerfileApp('1'));
  await forge.commit(folder);
  expect((await forge.git$(folder, ['push', '--force', forge.remote('hello'), 'main'])).exitCode).toBe(0);
  await until('v1 has its image again', async () => !gone(await forge.json('releases:list', 'hello', '-n', '100')).includes(1));
});

test('disk:report tells what an app takes, disk:clean --dry-run what would go, and disk:clean removes it', async () => {
  await until('the last release has been followed by a collection', async () => (await imagesOf('hello')).length === 3);
  await forge.ssh$(['releases:keep', 'hello', '1']);
  const report = await forge.json<{ apps: { app: string; images: { count: number; keep: number; bytes: number; ownBytes: number }; repositoryBytes: number; logBytes: number }[]; disks: { freeBytes: number }[] }>('disk:report');
  const hello = report.apps.find(({ app }) => app === 'hello');
  expect(hello).toMatchObject({ images: { count: 3, keep: 1 } });
  expect(hello?.images.bytes).toBeGreaterThan(hello?.images.ownBytes ?? Infinity);
  expect(hello?.images.ownBytes).toBeGreaterThan(0);
  expect(hello?.repositoryBytes).toBeGreaterThan(0);
  expect(report.disks[0]?.freeBytes).toBeGreaterThan(0);

  const { body } = await forge.get('hello');
  const plan = await forge.json<{ next: { images: { app: string }[] } }>('disk:clean', '--dry-run');
  expect(plan.next.images.map(({ app }) => app)).toEqual(['hello', 'hello']);
  expect(await imagesOf('hello')).toHaveLength(3);
  const printed = await forge.ssh$(['disk:clean']);
  expect(printed.stdout).toContain('Removed 2 images');
  expect(await imagesOf('hello')).toHaveLength(1);
  expect((await forge.get('hello')).body).toBe(body);
  expect(await isThere(foreign)).toBe(true);

  const other = await forge.newKey('dev');
  await forge.ssh$(['keys:add', 'dev', '--app', 'hello', '--permission', 'manage'], { input: await readFile(`${other}.pub`) });
  expect((await forge.ssh$(['disk:clean'], { key: other })).exitCode).toBe(77);
});

test('an image that somebody gave a name of their own stays, and one that a container uses', async () => {
  const folder = await appFolder(dockerfileApp('named'));
  expect((await forge.push(folder, 'named')).exitCode).toBe(0);
  const [image = ''] = await imagesOf('named');
  await execa('docker', ['tag', image, 'forge-test/mine:retention']);
  try {
    await forge.ssh$(['releases:keep', 'named', '1']);
    await write(folder, 'named 2');
    expect((await forge.push(folder, 'named')).exitCode).toBe(0);
    await until('forge has given it up', async () => gone(await forge.json('releases:list', 'named')).includes(1));
    await forge.ssh$(['disk:clean']);
    expect(await isThere('forge-test/mine:retention')).toBe(true);
  } finally {
    await execa('docker', ['rmi', 'forge-test/mine:retention'], { reject: false });
  }
});

test('a full disk is told with its figures and what helps, after what can be removed was', async () => {
  const own = await bootForge({ settings: { minFreeBytes: '900T', buildCacheBytes: '0' } });
  try {
    const { exitCode, all } = await own.push(await appFolder(dockerfileApp('x')), 'x');
    expect(exitCode).not.toBe(0);
    expect(all).toContain('The disk is nearly full: removing what is no longer needed');
    expect(all).toMatch(/is nearly full: [\d.]+ GiB of [\d.]+ GiB free, 921600 GiB needed; nothing was built/);
    expect(all).toContain('forge disk:clean');
  } finally {
    await own.remove();
  }
});

async function write(folder: string, text: string): Promise<void> {
  await writeFile(join(folder, 'server.js'), dockerfileApp(text)['server.js'] as string);
}

const gone = (releases: readonly SeenRelease[]): number[] => releases.filter(({ isImageGone }) => isImageGone).map(({ version }) => version);

/** Ids of the images that this forge built for the app. */
async function imagesOf(app: string): Promise<string[]> {
  const id = (await readFile(join(forge.data, 'id'), 'utf8')).trim();
  const { stdout } = await execa('docker', ['images', '-q', '--no-trunc', '--filter', `label=forge.data=${id}`, '--filter', `label=forge.app=${app}`]);
  return [...new Set(stdout.split('\n').filter(Boolean))];
}

const isThere = async (image: string): Promise<boolean> => (await execa('docker', ['image', 'inspect', image], { reject: false })).exitCode === 0;

/** Without a name and unused: what a prune would take. */
async function makeForeignImage(): Promise<string> {
  const { stdout } = await execa('docker', ['build', '-q', '--label', label, '-'], { input: `FROM forge-test/node:24\nRUN echo ${Date.now()} > /mine\n` });
  return stdout.trim();
}
