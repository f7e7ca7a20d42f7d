/** Cancel: whatever a deployment is doing, the app's turn is free again within two seconds and the old release serves. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge, type Spawned } from '../support/forge.ts';

const freeWithinMs = 2_000;
let forge: RunningForge;
let folder: string;

beforeAll(async () => {
  forge = await bootForge({ settings: { buildConcurrency: '1', drainTimeout: '1' } });
  folder = await appFolder(dockerfileApp('old'));
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => await forge.remove());

const { Dockerfile: quickBuild = '', 'server.js': serverText = '' } = dockerfileApp('new');
const slowBuild = 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN node -e "setTimeout(() => {}, 60000)"\nCMD ["node", "server.js"]\n';
const neverListens = 'setInterval(() => undefined, 1000);';

/** So that no build of an earlier run is taken from the cache. */
const unique = (): string => String(process.hrtime.bigint());

const deployment = async (app: string) => (await forge.deployments(app))[0];
const inStatus = async (app: string, status: string): Promise<string> =>
  (await until(`a deployment of ${app} is ${status}`, async () => ((await deployment(app))?.status === status ? await deployment(app) : undefined))).id;

/** Resolves to the milliseconds until somebody else could have the turn. */
async function timeUntilFree(app: string, end: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await end();
  // Takes the turn, changes nothing.
  expect(await forge.ssh$(['ps:scale', app, 'web=1'])).toMatchObject({ exitCode: 0 });
  return performance.now() - startedAt;
}

const phases = [
  { phase: 'a build', status: 'building', files: { Dockerfile: slowBuild, 'server.js': serverText } },
  { phase: 'a start', status: 'starting', files: { Dockerfile: quickBuild, 'server.js': neverListens } },
];

describe.each(phases)('canceling $phase', ({ status, files }) => {
  // In an object: what can be awaited would be awaited here.
  const begin = async (): Promise<{ readonly push: Spawned }> => {
    await writeFiles(folder, { ...files, 'unique.txt': unique() });
    await forge.commit(folder);
    return { push: forge.git$(folder, ['push', forge.remote('hello'), 'main'], { isGroup: true }) };
  };

  it('by its id frees the turn, and the push is told who did it', async () => {
    const { push } = await begin();
    const id = await inStatus('hello', status);
    expect(await timeUntilFree('hello', async () => await forge.ssh$(['deployments:cancel', id]))).toBeLessThan(freeWithinMs);
    expect(await push).toMatchObject({ exitCode: 1, all: expect.stringContaining('canceled by admin') as string });
    expect(await deployment('hello')).toMatchObject({ status: 'canceled' });
    expect(await forge.instances('hello')).toEqual(['web.1@v1']);
    expect((await forge.get('hello', '/')).body).toBe('old');
  });

  it('by Ctrl-C of the push does the same', async () => {
    const { push } = await begin();
    await inStatus('hello', status);
    expect(await timeUntilFree('hello', async () => void process.kill(-push.pid, 'SIGINT'))).toBeLessThan(freeWithinMs);
    expect((await push).exitCode).not.toBe(0);
    await inStatus('hello', 'canceled');
    expect((await forge.get('hello', '/')).body).toBe('old');
  });
});

describe('canceling a change whose old instance is to end first', () => {
  it('does not wait for its requests: it serves on, and the turn is free', async () => {
    const slow = `require('node:http').createServer((request, response) => setTimeout(() => response.end('first'), request.url === '/slow' ? 20_000 : 0)).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`;
    const single = await appFolder(dockerfileApp('first', slow));
    expect(await forge.push(single, 'single')).toMatchObject({ exitCode: 0 });
    expect(await forge.ssh$(['strategy:set', 'single', 'recreate'])).toMatchObject({ exitCode: 0 });
    expect(await forge.ssh$(['checks:set', 'single', '--drain-timeout', '60'])).toMatchObject({ exitCode: 0 });
    const before = await forge.instances('single');
    const answered = forge.get('single', '/slow');
    await until('the slow request is under way', async () => (await forge.get('single', '/')).body === 'first');
    const change = forge.ssh$(['config:set', 'single', 'COLOR=red']);
    await until('the old instance is out of the routes', async () => (await forge.get('single', '/')).status === 503);
    const id = await inStatus('single', 'starting');
    expect(await timeUntilFree('single', async () => await forge.ssh$(['deployments:cancel', id]))).toBeLessThan(freeWithinMs);
    expect(await change).toMatchObject({ all: expect.stringContaining('canceled by admin') as string });
    expect(await forge.instances('single')).toEqual(before);
    expect((await forge.get('single', '/')).body).toBe('first');
    expect((await answered).body).toBe('first');
  });
});

describe('a push that waits', () => {
  it('for a build slot is told its place in line, and its cancel lets the next one up', async () => {
    await writeFiles(folder, { Dockerfile: slowBuild, 'server.js': serverText, 'unique.txt': unique() });
    await forge.commit(folder);
    const building = forge.git$(folder, ['push', forge.remote('hello'), 'main'], { isGroup: true });
    const id = await inStatus('hello', 'building');
    const other = await appFolder(dockerfileApp('other'));
    expect(await forge.forge$(['apps:create', 'other'])).toMatchObject({ exitCode: 0 });
    await forge.commit(other);
    const waiting = forge.git$(other, ['push', forge.remote('other'), 'main']);
    let told = '';
    waiting.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()));
    await until('the push has its place in line', async () => told.includes('place 1 in line') || undefined);
    const second = await inStatus('other', 'queued');
    expect(await forge.ssh$(['deployments:cancel', second])).toMatchObject({ exitCode: 0 });
    expect(await waiting).toMatchObject({ exitCode: 1, all: expect.stringContaining('place 1 in line') as string });
    expect(await forge.ssh$(['deployments:cancel', id])).toMatchObject({ exitCode: 0 });
    await building;
    expect(await forge.push(other, 'other')).toMatchObject({ exitCode: 0 });
  });

  it('for a config change of its app says what it waits for, as the change does for a push', async () => {
    await writeFiles(folder, { Dockerfile: slowBuild, 'server.js': serverText, 'unique.txt': unique() });
    await forge.commit(folder);
    const push = forge.git$(folder, ['push', forge.remote('hello'), 'main'], { isGroup: true });
    const id = await inStatus('hello', 'building');
    const change = forge.ssh$(['config:set', 'hello', 'COLOR=red']);
    await until('the change waits', async () => (await forge.deployments('hello')).some(({ status }) => status === 'queued'));
    await forge.ssh$(['deployments:cancel', id]);
    await push;
    expect(await change).toMatchObject({ exitCode: 0, all: expect.stringContaining(`Waiting for deployment ${id} (Deploy`) as string });
  });
});
