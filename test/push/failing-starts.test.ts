/** Releases that build and do not come up, and pushers who leave around the swap: what served goes on serving, whole. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execa } from 'execa';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type Command, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
/** Its app `site` serves "one" from v1 until a test changes that. */
let folder: string;
let liveCommit: string;

beforeAll(async () => {
  forge = await bootForge({ settings: { readinessTimeout: '6', drainTimeout: '2' } });
  folder = await appFolder(dockerfileApp('one'));
  expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
  liveCommit = (await forge.git$(folder, ['rev-parse', 'HEAD'])).stdout.trim();
});
afterAll(async () => await forge.remove());

const refOf = async (app: string): Promise<string> => (await forge.git$(folder, ['ls-remote', forge.remote(app), 'refs/heads/main'])).stdout.split('\t')[0] ?? '';
const listenOn = (where: string): string => `console.log('began'); require('node:http').createServer((request, response) => response.end('no')).listen(${where});\n`;

async function pushInVain(server: string): Promise<Command> {
  await forge.git$(folder, ['checkout', '-q', '-f', '-B', 'main', liveCommit]);
  await writeFiles(folder, { 'server.js': server });
  const pushed = await forge.push(folder, 'site');
  expect(pushed.exitCode).not.toBe(0);
  expect(await refOf('site')).toBe(liveCommit);
  expect((await forge.get('site')).body).toBe('one');
  expect(await forge.instances('site')).toEqual(['web.1@v1']);
  expect((await forge.deployments('site'))[0]?.status).toBe('failed');
  return pushed;
}

describe('a release that does not become ready keeps the old one serving', () => {
  it('and shows the status and the last lines of an app that exits at once', async () => {
    const { all } = await pushInVain(`console.error('cannot read the settings'); process.exit(3);\n`);
    expect(all).toContain('cannot read the settings');
    expect(all).toMatch(/web\.1 .*status 3/);
  });

  it('and names both ports of an app that listens on the wrong one', async () => {
    const { all } = await pushInVain(listenOn('3000'));
    expect(all).toContain('web.1 listens on port 3000, expected is port 5000');
    expect(all).toContain('began');
  });

  it('and says so when the app listens on 127.0.0.1 only', async () => {
    const { all } = await pushInVain(listenOn(`process.env.PORT, '127.0.0.1'`));
    expect(all).toContain('web.1 listens on port 5000 of 127.0.0.1 only');
    expect(all).toContain('bind to 0.0.0.0');
  });

  it('and says what it waited for when the app never gets ready', async () => {
    const { all } = await pushInVain(`console.log('thinking'); setInterval(() => {}, 1000);\n`);
    expect(all).toContain('web.1 was not ready within 6 s: a TCP connection to port 5000');
    expect(all).toContain('thinking');
  });
});

describe('a release of several process types', () => {
  const web = (text: string): string => `require('node:http').createServer((request, response) => response.end('${text}')).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`;
  const worker = (text: string): string => `console.log('${text}');\nsetInterval(() => {}, 1000);\nprocess.on('SIGTERM', () => process.exit(0));\n`;

  it('keeps the old web and the old worker when the new worker crashes', async () => {
    const app = await appFolder({ ...dockerfileApp(''), 'server.js': web('first'), 'worker.js': worker('working'), Procfile: 'web: node server.js\nworker: node worker.js\n' });
    expect(await forge.push(app, 'pair')).toMatchObject({ exitCode: 0 });
    expect(await forge.ssh$(['ps:scale', 'pair', 'worker=1'])).toMatchObject({ exitCode: 0 });
    expect(await forge.instances('pair')).toEqual(['web.1@v1', 'worker.1@v1']);
    await writeFiles(app, { 'server.js': web('second'), 'worker.js': `console.error('no queue'); process.exit(4);\n` });
    const pushed = await forge.push(app, 'pair');
    expect(pushed.all).toMatch(/worker\.1 .*status 4/);
    expect(pushed.all).toContain('no queue');
    expect(pushed.exitCode).not.toBe(0);
    expect((await forge.get('pair')).body).toBe('first');
    expect(await forge.instances('pair')).toEqual(['web.1@v1', 'worker.1@v1']);

    await writeFiles(app, { 'worker.js': worker('working again') });
    expect(await forge.push(app, 'pair')).toMatchObject({ exitCode: 0 });
    expect((await forge.get('pair')).body).toBe('second');
    await until('the old instances are gone', async () => (await forge.instances('pair')).every((name) => !name.endsWith('@v1')));
  });
});

describe('a pusher who is killed', () => {
  const push = (app: string) => {
    const pushing = forge.git$(folder, ['push', forge.remote(app), 'main'], { isGroup: true });
    return { pid: pushing.pid, ended: pushing.then((command) => command) };
  };

  it('before the swap changes nothing: the ref stays and the old release serves', async () => {
    await forge.git$(folder, ['checkout', '-q', '-f', '-B', 'main', liveCommit]);
    await writeFiles(folder, { 'server.js': 'setInterval(() => {}, 1000);\n' });
    await forge.commit(folder);
    const { pid, ended } = push('site');
    await until('the new instance waits', async () => (await forge.deployments('site'))[0]?.status === 'starting');
    process.kill(-pid, 'SIGKILL');
    await ended;
    await until('the deployment is canceled', async () => (await forge.deployments('site'))[0]?.status === 'canceled');
    expect(await refOf('site')).toBe(liveCommit);
    expect((await forge.get('site')).body).toBe('one');
    await until('only the old instance is left', async () => (await forge.instances('site')).join() === 'web.1@v1');
  });

  it('after the swap changes nothing either: the push is finished, ref and app agree', async () => {
    await forge.git$(folder, ['checkout', '-q', '-f', '-B', 'main', liveCommit]);
    await writeFiles(folder, dockerfileApp('two'));
    const commit = await forge.commit(folder);
    const { pid, ended } = push('site');
    await until('the new release answers', async () => (await forge.get('site')).body === 'two');
    process.kill(-pid, 'SIGKILL');
    await ended;
    await until('the deployment has ended', async () => ['succeeded', 'failed', 'canceled'].includes((await forge.deployments('site'))[0]?.status ?? ''));
    const isLive = (await forge.deployments('site'))[0]?.status === 'succeeded';
    expect(await refOf('site')).toBe(isLive ? commit : liveCommit);
    expect((await forge.get('site')).body).toBe(isLive ? 'two' : 'one');
    expect(isLive).toBe(true);
  });
});

describe('the containers', () => {
  it('of failed releases are gone', async () => {
    const id = (await execa('cat', [`${forge.data}/id`])).stdout.trim();
    await until('only what serves is left', async () => {
      const { stdout } = await execa('docker', ['ps', '-a', '--filter', `label=forge.data=${id}`, '--format', '{{.Label "forge.app"}} {{.Label "forge.instance"}} {{.State}}']);
      return stdout.split('\n').filter(Boolean).sort().join() === 'pair web.1 running,pair worker.1 running,site web.1 running';
    });
  });
});
