/** What a person asks about an app, who may ask it, and how an app ends. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execa } from 'execa';
import { chattyApp } from '../support/chatty-app.ts';
import { appFolder, bootForge, until, type Command, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
let folder: string;
beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '2' } });
  folder = await chattyApp();
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => await forge.remove());

const ok = async (command: PromiseLike<Command>): Promise<string> => {
  const ended = await command;
  expect(ended).toMatchObject({ exitCode: 0 });
  return ended.stdout;
};

describe('logs', () => {
  const lines = async (...words: readonly string[]): Promise<string[]> => (await ok(forge.ssh$(['apps:logs', 'hello', ...words]))).split('\n').filter(Boolean);

  it('merge processes, tagged, in order; -n and -p choose', async () => {
    await ok(forge.ssh$(['ps:scale', 'hello', 'worker=1']));
    await forge.get('hello', '/first');
    await until('the request is in the log', async () => (await lines()).some((line) => line.endsWith('asked for /first')));
    const all = await lines('-n', '1000');
    expect(all.every((line) => /^\d{4}-\d\d-\d\dT[\d:.]+Z app\[(web|worker)\.\d\]: /.test(line))).toBe(true);
    expect(all.some((line) => /app\[worker\.1\]: worker worker\.1 began$/.test(line))).toBe(true);
    expect(all.map((line) => line.split(' ')[0] ?? '')).toEqual(all.map((line) => line.split(' ')[0] ?? '').toSorted());
    expect((await lines('-p', 'worker')).every((line) => line.includes('app[worker.'))).toBe(true);
    expect((await lines('-n', '1')).length).toBe(1);
    expect((await lines('-p', 'web.1', '-n', '2')).length).toBe(2);
  });

  it('come live with -f', async () => {
    const following = forge.ssh$(['apps:logs', 'hello', '-f', '-n', '0', '-p', 'web']);
    let seen = '';
    following.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    await until('a request is followed', async () => {
      await forge.get('hello', '/followed');
      return seen.includes('asked for /followed');
    });
    following.kill('SIGTERM');
    await following;
  });

  it('are still there after the next deploy and after a restart of forge', async () => {
    expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
    expect((await lines('-n', '1000')).some((line) => line.endsWith('asked for /first'))).toBe(true);
    await forge.restart();
    expect((await lines('-n', '1000')).some((line) => line.endsWith('asked for /first'))).toBe(true);
    await forge.get('hello', '/after-restart');
    await until('what comes after the restart is there too', async () => (await lines()).some((line) => line.endsWith('asked for /after-restart')));
  });
});

describe('deployments and releases', () => {
  it('are listed newest first, told one by one, with what each printed', async () => {
    expect((await forge.ssh$(['config:set', 'hello', 'BROKEN=1'])).exitCode).toBe(1);
    await ok(forge.ssh$(['config:set', 'hello', 'FIXED=1']));
    const all = await forge.deployments('hello');
    expect(all.some(({ status }) => status === 'failed')).toBe(true);
    const failed = all.find(({ status }) => status === 'failed');
    const info = await forge.json<{ status: string; failure: string }>('deployments:info', failed?.id ?? '');
    expect(info).toMatchObject({ status: 'failed' });
    expect(info.failure).toContain('web.1');
    expect(await ok(forge.ssh$(['deployments:logs', failed?.id ?? '']))).toContain('the config is broken');
    expect(await ok(forge.ssh$(['deployments:logs', all[0]?.id ?? '']))).toContain('Application deployed');
    expect(all.every(({ status }) => ['succeeded', 'failed'].includes(status))).toBe(true);
    expect((await ok(forge.ssh$(['releases:list', 'hello']))).split('\n').length).toBeGreaterThan(2);
    expect((await forge.ssh$(['deployments:info', 'nothing0000'])).exitCode).toBe(4);
  });
});

describe('keys and tokens', () => {
  it('a key that is added may push what it is good for; removed, it is refused and its running session ends', async () => {
    const key = await forge.newKey('ci');
    const pub = readFileSync(`${key}.pub`, 'utf8');
    expect((await forge.ssh$(['apps:list'], { key })).exitCode).toBe(255);
    await ok(forge.ssh$(['keys:add', 'ci', '--app', 'hello', '--permission', 'deploy'], { input: pub }));
    expect(await ok(forge.ssh$(['apps:list', '-q'], { key }))).toBe('hello');
    expect((await forge.git$(folder, ['push', forge.remote('hello'), 'main'], { key })).all).toContain('Everything up-to-date');
    expect((await forge.git$(folder, ['push', forge.remote('other'), 'main'], { key })).exitCode).not.toBe(0);
    expect((await forge.ssh$(['config:list', 'hello'], { key })).exitCode).toBe(77);
    expect((await forge.ssh$(['keys:add', 'twice'], { input: pub })).exitCode).toBe(5);
    expect((await forge.ssh$(['keys:add', 'options'], { input: `command="id",no-pty ${pub}` })).stderr).toContain('options before the key are not taken');
    expect((await forge.ssh$(['keys:add', 'bad'], { input: 'ssh-ed25519 notakey' })).exitCode).toBe(2);
    expect((await forge.json<{ name: string }[]>('keys:list')).map(({ name }) => name)).toContain('ci');

    const following = forge.ssh$(['apps:logs', 'hello', '-f', '-n', '1'], { key });
    const ended = following.then((command) => command);
    await new Promise((resolve) => following.stdout.once('data', resolve));
    await ok(forge.ssh$(['keys:remove', 'ci']));
    expect((await ended).exitCode).not.toBe(0);
    expect((await forge.git$(folder, ['push', forge.remote('hello'), 'main'], { key })).exitCode).not.toBe(0);
    expect((await forge.ssh$(['keys:remove', 'ci'])).exitCode).toBe(4);
  });

  it('a running push of a key that is removed ends, and its build with it', async () => {
    const key = await forge.newKey('leaver');
    await ok(forge.ssh$(['keys:add', 'leaver', '--app', 'hello', '--permission', 'deploy'], { input: readFileSync(`${key}.pub`, 'utf8') }));
    const broken = await appFolder({ Dockerfile: 'FROM forge-test/node:24\nRUN echo of-a-leaver && sleep 300\n' });
    await forge.commit(broken);
    const pushing = forge.git$(broken, ['push', '--force', forge.remote('hello'), 'main'], { key }).then((command) => command);
    await until('the build runs', async () => (await forge.deployments('hello'))[0]?.status === 'building');
    await ok(forge.ssh$(['keys:remove', 'leaver']));
    expect((await pushing).exitCode).not.toBe(0);
    await until('the deployment is canceled', async () => (await forge.deployments('hello'))[0]?.status === 'canceled');
    expect((await forge.get('hello')).status).toBe(200);
  });

  it('a token is shown once, listed without its secret, and revoked by name', async () => {
    const created = await forge.json<{ token: string }>('tokens:create', 'ci', '--app', 'hello');
    expect(created.token.length).toBeGreaterThan(20);
    const listed = await ok(forge.ssh$(['tokens:list', '--json']));
    expect(listed).toContain('"ci"');
    expect(listed).not.toContain(created.token);
    await ok(forge.ssh$(['tokens:revoke', 'ci']));
    expect((await forge.ssh$(['tokens:revoke', 'ci'])).exitCode).toBe(4);
  });
});

describe('every command', () => {
  it('unknown ones are refused with the nearest name', async () => {
    const { exitCode, stderr } = await forge.ssh$(['apps:lsit']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('apps:list');
    expect((await forge.forge$(['deployments:canel', 'x'])).stderr).toContain('deployments:cancel');
  });

  it('lists as JSON, and has a status of its own for a missing app', async () => {
    for (const words of [['apps:list'], ['config:list', 'hello'], ['ps:list', 'hello'], ['releases:list', 'hello'], ['deployments:list', 'hello'], ['keys:list'], ['tokens:list'], ['version']]) await forge.json(...words);
    for (const command of ['apps:info', 'apps:logs', 'config:list', 'ps:list', 'ps:restart', 'releases:list', 'deployments:list']) {
      expect({ command, exitCode: (await forge.ssh$([command, 'nobody'])).exitCode }).toEqual({ command, exitCode: 4 });
    }
    const { stderr } = await forge.ssh$(['apps:info', 'nobody', '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'not-found' } });
  });

  it('by the short forms that people know', async () => {
    expect(await ok(forge.forge$(['apps']))).toContain('hello');
    expect(await ok(forge.forge$(['logs', 'hello', '-n', '1']))).toContain('app[');
    expect((await forge.forge$(['status'])).exitCode).toBe(0);
    expect(await ok(forge.ssh$(['apps:url', 'hello']))).toContain(`http://hello.localhost:${forge.http}`);
  });
});

describe('destroying an app', () => {
  it('leaves no container, network, image, repository, log, row or route behind', async () => {
    expect((await forge.ssh$(['apps:destroy', 'hello', '--confirm', 'hullo'])).exitCode).toBe(2);
    expect((await forge.get('hello')).status).toBe(200);
    const deploymentLogs = (await forge.deployments('hello')).map(({ id }) => `${id}.log`);
    expect(readdirSync(join(forge.data, 'deployments'))).toEqual(expect.arrayContaining(deploymentLogs));
    await ok(forge.ssh$(['apps:destroy', 'hello', '--confirm', 'hello']));
    expect(readdirSync(join(forge.data, 'deployments')).filter((name) => deploymentLogs.includes(name))).toEqual([]);
    expect((await forge.get('hello')).status).toBe(404);
    const id = readFileSync(join(forge.data, 'id'), 'utf8').trim();
    const left = async (...words: readonly string[]) => (await execa('docker', [...words, '--filter', `label=forge.data=${id}`])).stdout.split('\n').filter(Boolean);
    await until('the engine has nothing of it', async () => [...(await left('ps', '-aq')), ...(await left('network', 'ls', '-q')), ...(await left('volume', 'ls', '-q')), ...(await left('images', '-q'))].length === 0);
    for (const place of ['repos', 'logs']) expect(readdirSync(join(forge.data, place)).filter((name) => name.startsWith('hello'))).toEqual([]);
    expect((await forge.ssh$(['apps:info', 'hello'])).exitCode).toBe(4);
    expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
    expect((await forge.instances('hello'))).toEqual(['web.1@v1']);
  });
});
