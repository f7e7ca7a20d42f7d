/** git over HTTP through the real proxy, with tokens for passwords. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge, type Spawned } from '../support/forge.ts';

let forge: RunningForge;
let folder: string;
let token: string;

beforeAll(async () => {
  forge = await bootForge({ settings: { bind: '0.0.0.0' } });
  token = await makeToken('admin', '--admin');
  folder = await appFolder(dockerfileApp('one'));
  await forge.commit(folder);
});
afterAll(async () => await forge.remove());

const makeToken = async (...words: readonly string[]): Promise<string> => (await forge.json<{ token: string }>('tokens:create', ...words)).token;

interface Client {
  readonly token?: string;
  readonly address?: string;
  readonly config?: readonly string[];
  readonly isGroup?: boolean;
}

const urlOf = (app: string, { token: secret = token, address = '127.0.0.1' }: Client = {}): string => `http://x:${secret}@${address}:${forge.http}/${app}.git`;

/** git with the host name of forge itself, which need not resolve here. */
function git(where: string, words: readonly string[], { config = [], isGroup = false }: Client = {}): Spawned {
  const host = [`http.extraHeader=Host: forge.localhost:${forge.http}`, 'credential.helper=', ...config];
  return forge.git$(where, [...host.flatMap((setting) => ['-c', setting]), ...words], { isGroup });
}

/** Status and body of a request that no git client would make. */
async function ask(path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; body: string; challenge: string | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof ask>>>();
  const asked = request({ host: '127.0.0.1', port: forge.http, path, headers: { host: `forge.localhost:${forge.http}`, ...headers }, agent: false }, (response) => {
    let body = '';
    response.on('data', (part: Buffer) => (body += part.toString()));
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body, challenge: response.headers['www-authenticate'] }));
  });
  asked.on('error', reject);
  asked.end();
  return await promise;
}
const basic = (secret: string) => ({ authorization: `Basic ${Buffer.from(`x:${secret}`).toString('base64')}` });

describe('a push over HTTP', () => {
  it('creates the app, streams what happens, ends with the URL, and the URL answers when it returns', async () => {
    const pushed = await git(folder, ['push', urlOf('hello'), 'main']);
    expect(pushed.all).toContain('-----> Building hello with dockerfile: found Dockerfile');
    expect(pushed.all).toMatch(/=====> Application deployed:\s+remote:\s+http:\/\/hello\.localhost:\d+/);
    expect(pushed.exitCode).toBe(0);
    expect(await forge.get('hello')).toMatchObject({ status: 200, body: 'one' });
  });

  it('fails with the build’s output and moves no ref when the build fails, and works once it is mended', async () => {
    await writeFiles(folder, { Dockerfile: 'FROM forge-test/node:24\nRUN echo no such header >&2 && exit 7\n' });
    const live = (await git(folder, ['ls-remote', urlOf('hello')])).stdout;
    await forge.commit(folder);
    const pushed = await git(folder, ['push', urlOf('hello'), 'main']);
    expect(pushed.all).toContain('no such header');
    expect(pushed.exitCode).not.toBe(0);
    expect((await git(folder, ['ls-remote', urlOf('hello')])).stdout).toBe(live);
    expect((await forge.get('hello')).body).toBe('one');
    await writeFiles(folder, dockerfileApp('two'));
    await forge.commit(folder);
    expect(await git(folder, ['push', urlOf('hello'), 'main'])).toMatchObject({ exitCode: 0 });
    expect((await forge.get('hello')).body).toBe('two');
  });

  it('takes a large push in chunks', async () => {
    await writeFiles(folder, { 'large.bin': randomBytes(20 * 1024 * 1024) });
    await forge.commit(folder);
    expect(await git(folder, ['push', urlOf('hello'), 'main'], { config: ['http.postBuffer=65536'] })).toMatchObject({ exitCode: 0 });
    expect((await forge.get('hello')).status).toBe(200);
  });

  it('is stopped when its client goes away', async () => {
    await writeFiles(folder, { Dockerfile: 'FROM forge-test/node:24\nRUN echo over-http && sleep 300\n' });
    await forge.commit(folder);
    const pushing = git(folder, ['push', urlOf('hello'), 'main'], { isGroup: true });
    const ended = pushing.then((command) => command);
    await until('the build runs', async () => (await forge.deployments('hello'))[0]?.status === 'building');
    process.kill(-pushing.pid, 'SIGKILL');
    await ended;
    await until('the deployment is canceled', async () => (await forge.deployments('hello'))[0]?.status === 'canceled');
    expect((await forge.get('hello')).body).toBe('two');
  });
});

describe('clone and fetch over HTTP', () => {
  it('give back what was pushed, with every version of the protocol', async () => {
    const where = await appFolder({});
    for (const version of ['0', '2']) {
      const copy = `copy-${version}`;
      expect(await git(where, ['clone', '-q', urlOf('hello'), copy], { config: [`protocol.version=${version}`] })).toMatchObject({ exitCode: 0 });
      expect((await forge.git$(join(where, copy), ['log', '--format=%H', '-1'])).stdout).toBe((await git(folder, ['ls-remote', urlOf('hello'), 'refs/heads/main'])).stdout.split('\t')[0]);
      expect(await git(join(where, copy), ['fetch', '-q', urlOf('hello'), 'main'], { config: [`protocol.version=${version}`] })).toMatchObject({ exitCode: 0 });
    }
  });
});

describe('who may push over HTTP', () => {
  it('nobody without a token or with a wrong one: 401 with a realm', async () => {
    expect(await ask('/hello.git/info/refs?service=git-receive-pack')).toMatchObject({ status: 401, challenge: expect.stringContaining('Basic realm="forge"') });
    expect((await ask('/hello.git/info/refs?service=git-receive-pack', basic('wrong'))).status).toBe(401);
    const pushed = await git(folder, ['push', urlOf('hello', { token: 'wrong' }), 'main']);
    expect(pushed.all).toMatch(/Authentication failed|could not read/);
    expect(pushed.exitCode).not.toBe(0);
  });

  it('a limited token its app only, and a revoked one nothing; other apps look as if they were not there', async () => {
    const viewer = await makeToken('viewer', '--app', 'hello', '--permission', 'view');
    const deployer = await makeToken('deployer', '--app', 'mine', '--permission', 'deploy');
    expect((await git(folder, ['ls-remote', urlOf('hello', { token: viewer })])).exitCode).toBe(0);
    const refused = await git(folder, ['push', urlOf('hello', { token: viewer }), 'main']);
    expect(refused.all).toMatch(/not found|there is no app hello for which this token is good enough/);
    expect(refused.exitCode).not.toBe(0);
    const answers = await Promise.all(['hello', 'nothing'].map(async (app) => await ask(`/${app}.git/info/refs?service=git-receive-pack`, basic(deployer))));
    expect(answers.map(({ status }) => status)).toEqual([404, 404]);
    expect(answers[0]?.body.replaceAll('hello', 'X')).toBe(answers[1]?.body.replaceAll('nothing', 'X'));
    expect((await forge.ssh$(['tokens:revoke', 'viewer'])).exitCode).toBe(0);
    expect((await ask('/hello.git/info/refs?service=git-upload-pack', basic(viewer))).status).toBe(401);
  });

  it('nobody from elsewhere: a token over plain HTTP could be read on the way', async () => {
    const address = Object.values(networkInterfaces()).flat().find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '';
    expect(address).not.toBe('');
    const refused = await git(folder, ['push', urlOf('hello', { address }), 'main']);
    expect(refused.all).toMatch(/403|a token over plain HTTP can be read on the way/);
    expect(refused.exitCode).not.toBe(0);
    // A client cannot claim to be elsewhere than it is.
    const claimed = await git(folder, ['ls-remote', urlOf('hello', { address })], { config: ['http.extraHeader=X-Forwarded-For: 127.0.0.1', 'http.extraHeader=X-Forwarded-Proto: https'] });
    expect(claimed.exitCode).not.toBe(0);
  });

  it('to no app whose name is none', async () => {
    for (const name of ['Hello', 'a'.repeat(31), '-x', 'x-', '..', 'a%2Fb', '..%2Fx', '$(id)', 'a;b', 'a%0Ab', '%60id%60', 'forge', 'www']) {
      expect({ name, status: (await ask(`/${name}.git/info/refs?service=git-receive-pack`, basic(token))).status }).toEqual({ name, status: 400 });
    }
    expect((await ask('/a/b.git/info/refs?service=git-receive-pack', basic(token))).status).toBeGreaterThanOrEqual(400);
    expect((await forge.ssh$(['apps:list', '-q'])).stdout).toBe('hello');
  });
});
