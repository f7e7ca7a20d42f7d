import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findAudit } from '../../src/store/audit.ts';
import { createDeployment, updateDeployment } from '../../src/store/deployments.ts';
import { getApp } from '../../src/store/apps.ts';
import { openStage, release } from './stage.ts';

const terminal = { columns: 80, rows: 24, onResize: () => undefined };

describe('apps', () => {
  test('an app is created, listed, shown and removed', async () => {
    const stage = openStage();
    expect(await stage.ok('apps')).toMatch(/^No apps yet\. Create one: forge apps:create NAME/);
    expect(await stage.ok('apps:create', 'hello')).toContain('http://hello.localhost:8080');
    expect(await stage.ok('apps')).toBe('APP    STATE           RELEASE  SINCE  URL\nhello  never deployed  –        –      http://hello.localhost:8080\n');
    release(stage.store, 'hello');
    expect(await stage.ok('apps:list')).toMatch(/hello {2}running {2}v1 {7}just now {2}http/);
    expect(await stage.ok('apps:list', '-q')).toBe('hello\n');
    expect(await stage.ok('apps:info', 'hello')).toMatch(/release +v1, just now by ada: Deploy 3f2a91c/);
    expect(await stage.ok('apps:url', 'hello')).toBe('http://hello.localhost:8080\n');
    expect(await stage.ok('apps:destroy', 'hello', '--confirm', 'hello')).toBe('Removed hello\n');
    expect(await stage.ok('apps:list', '-q')).toBe('');
  });

  test('output is coloured for a terminal only', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect((await stage.run(['apps'], { terminal })).stdout).toContain('\u001b[1m');
    expect((await stage.run(['apps'])).stdout).not.toContain('\u001b');
  });

  test('lines end with a carriage return for a terminal only, whose client is in raw mode', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect((await stage.run(['apps:url', 'hello'], { terminal })).stdout).toBe('http://hello.localhost:8080\r\n');
    expect((await stage.run(['apps:url', 'ghost'], { terminal })).stderr).toMatch(/"ghost"\r\n/);
    expect((await stage.run(['apps:url', 'hello'])).stdout).toBe('http://hello.localhost:8080\n');
  });

  test('the audit shows who did what', async () => {
    const stage = openStage();
    expect(await stage.ok('audit')).toBe('Nothing was changed yet.\n');
    await stage.ok('apps:create', 'hello');
    expect(await stage.ok('audit', '-a', 'hello')).toMatch(/just now +operator \(operator\) +apps:create +hello +\{"outcome":"ok"\}/);
    expect(await stage.ok('audit', '-a', 'other')).toBe('Nothing was changed yet.\n');
  });

  test('a change whose record cannot be kept ends as it ended', async () => {
    const stage = openStage();
    stage.store.db.run("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END");
    expect(await stage.ok('apps:create', 'hello')).toContain('http://hello.localhost:8080');
    expect(await stage.run(['apps:create', 'hello'])).toMatchObject({ status: 5, stderr: expect.stringContaining('exists already') as string });
  });

  test.each(['Hello', '../x', 'a;b', '$(id)', 'a\nb', 'a'.repeat(31), 'forge'])('no app is created under the name %j', async (name) => {
    const stage = openStage();
    const { status, stderr } = await stage.run(['apps:create', name]);
    expect(status).toBe(2);
    expect(stderr).toContain('is not a valid app name');
  });

  test('a name that is taken is a conflict', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.run(['apps:create', 'hello'])).toMatchObject({ status: 5, stderr: expect.stringContaining('exists already') });
  });

  test.each(['apps:info', 'apps:logs', 'config:list', 'ps:list', 'releases:list', 'apps:destroy'])('%s of an app that is not there is not found', async (name) => {
    expect(await openStage().run([name, 'ghost'])).toEqual({ status: 4, stdout: '', stderr: ' !     there is no app "ghost"\n !     forge apps lists the apps you can see\n' });
  });

  test('destroying asks for the name, and another answer removes nothing', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    const wrong = await stage.run(['apps:destroy', 'hello'], { stdin: 'yes\n' });
    expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('Type its name') });
    expect((await stage.run(['apps:destroy', 'hello'])).status).toBe(2);
    expect((await stage.run(['apps:destroy', 'hello', '--confirm', 'other'])).status).toBe(2);
    expect(stage.asked).toEqual([]);
    // In a raw terminal the line ends with a carriage return, and corrections arrive as bytes.
    const typed = await stage.run(['apps:destroy', 'hello'], { stdin: 'helk\x7flo\r', terminal });
    expect(typed).toMatchObject({ status: 0, stdout: 'Removed hello\r\n' });
    expect(typed.stderr).toContain('helk\b \blo');
  });

  test('Ctrl-C at the question cancels', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.run(['apps:destroy', 'hello'], { stdin: 'hel\x03', terminal })).toMatchObject({ status: 130 });
    expect(getApp(stage.store, 'hello').name).toBe('hello');
  });
});

describe('what is asked wrongly', () => {
  test('an unknown command names the nearest one', async () => {
    const stage = openStage();
    expect(await stage.run(['app:list'])).toEqual({ status: 2, stdout: '', stderr: ' !     there is no command "app:list"\n !     did you mean apps:list?\n' });
    expect((await stage.run(['confg:set', 'hello'])).stderr).toContain('did you mean config:set?');
    expect((await stage.run(['zzzzzz'])).stderr).toContain('forge help lists all commands');
  });

  test('a missing word, one too many and an unknown flag show the usage', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.run(['config:get', 'hello'])).toMatchObject({ status: 2, stderr: ' !     config:get: key is missing\n !     usage: forge config:get APP KEY\n' });
    expect((await stage.run(['config:set', 'hello'])).stderr).toContain('usage: forge config:set APP KEY=VALUE… [--no-restart]');
    expect((await stage.run(['apps:url', 'hello', 'more'])).stderr).toContain('takes no further words: "more"');
    expect((await stage.run(['apps:url', 'hello', '--frob'])).stderr).toContain('has no flag "--frob"');
    expect((await stage.run(['apps:url'])).stderr).toContain('app is missing');
  });

  test('errors are JSON where JSON was asked for', async () => {
    const { status, stderr } = await openStage().run(['apps:info', 'ghost', '--json']);
    expect(status).toBe(4);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'not-found', message: 'there is no app "ghost"' } });
  });

  test('what nobody expected shows an id and nothing of the inside', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    stage.store.close();
    const { status, stderr } = await stage.run(['apps:info', 'hello']);
    expect(status).toBe(70);
    expect(stderr).toMatch(/^ ! {5}internal error \(id [0-9a-f]{8}\)\n/);
    expect(stderr).not.toContain('database');
  });
});

describe('processes', () => {
  test('quantities are set, shown and checked', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.ok('ps:scale', 'hello', 'web=2', 'worker=1')).toBe('hello: web=2 worker=1\n');
    expect(JSON.parse(await stage.ok('ps:scale', 'hello', '--json'))).toEqual({ app: 'hello', formation: { web: 2, worker: 1 } });
    for (const wrong of ['web=-1', 'web=1e3', 'web=', 'web=101', 'Web=1', 'web']) expect((await stage.run(['ps:scale', 'hello', wrong])).status).toBe(2);
  });

  test('instances are listed in order, and an empty list says what to do', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.ok('ps', 'hello')).toContain('git push forge main');
    const instance = { app: 'hello', version: 1, type: 'web', address: '10.0.0.2', port: 80, isRunning: true, deploymentId: 'd', containerId: 'abcdef0123456789' };
    stage.instances = [{ ...instance, name: 'web.10', ordinal: 10 }, { ...instance, name: 'web.2', ordinal: 2, isRunning: false }];
    expect(await stage.ok('ps', 'hello')).toMatch(/web\.2 +v1 +down +abcdef012345\nweb\.10 +v1 +running/);
  });

  test('stop, start and restart reach the deployer and the audit', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    release(stage.store, 'hello');
    for (const verb of ['stop', 'start', 'restart']) await stage.ok(`ps:${verb}`, 'hello');
    expect(stage.asked).toEqual(['stop hello', 'start hello', 'restart hello']);
    expect(findAudit(stage.store, { app: 'hello' }).map(({ action, actor }) => [action, actor])).toEqual([
      ['ps:restart', 'operator'], ['ps:start', 'operator'], ['ps:stop', 'operator'], ['apps:create', 'operator'],
    ]);
  });
});

describe('run', () => {
  test('passes the command untouched and its exit status on', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    const { status } = await stage.run(['run', '-e', 'A=x=y', 'hello', 'sh', '-c', 'echo "$HOME"', '--json', '--', '-a', 'b']);
    expect(status).toBe(3);
    expect(stage.oneOffs[0]).toMatchObject({ app: 'hello', argv: ['sh', '-c', 'echo "$HOME"', '--json', '--', '-a', 'b'], env: { A: 'x=y' } });
  });

  test('leaves the arguments out of the audit', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    await stage.run(['run', '-e', 'A=canary', 'hello', 'psql', 'postgres://u:canary@h/d']);
    expect(findAudit(stage.store)[0]).toMatchObject({ action: 'run', app: 'hello', details: { program: 'psql', env: ['A'] } });
    expect(JSON.stringify(findAudit(stage.store))).not.toContain('canary');
  });
});

describe('releases and deployments', () => {
  test('releases are listed without their config', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.ok('releases', 'hello')).toContain('the first push makes v1');
    await stage.ok('config:set', 'hello', 'A=canary');
    release(stage.store, 'hello');
    expect(await stage.ok('releases', 'hello')).toMatch(/v1 +current +just now +ada +Deploy 3f2a91c/);
    expect(await stage.ok('releases', 'hello', '--json')).not.toContain('canary');
  });

  test('a deployment is listed, shown, read and canceled by its id', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    const { id } = createDeployment(stage.store, { app: 'hello', actor: 'ada', origin: { kind: 'git', branch: 'main', commit: '3f2a91c0ffee' }, reason: 'Deploy 3f2a91c' });
    mkdirSync(join(stage.services.config.data, 'deployments'));
    writeFileSync(join(stage.services.config.data, 'deployments', `${id}.log`), '-----> Building\n');
    expect(await stage.ok('deployments', 'hello')).toContain(`${id}  queued`);
    await stage.ok('deployments:cancel', id);
    expect(stage.asked).toEqual([`cancel ${id}`]);
    updateDeployment(stage.store, id, { status: 'failed', failure: 'web.1 exited' });
    expect(await stage.ok('deployments:info', id)).toMatch(/failure +web\.1 exited/);
    expect(await stage.ok('deployments:logs', id, '-f')).toBe('-----> Building\n');
    expect(JSON.parse(await stage.ok('deployments:logs', id, '--json'))).toEqual({ deployment: id, log: '-----> Building\n' });
    appendFileSync(join(stage.services.config.data, 'deployments', `${id}.log`), 'x'.repeat(9 * 1024 * 1024));
    const cut = JSON.parse(await stage.ok('deployments:logs', id, '--json')) as { log: string; isCut: boolean };
    expect([cut.log.length, cut.isCut]).toEqual([8 * 1024 * 1024, true]);
    for (const wrong of ['0000000000000000', '../../forge.db', '']) expect([2, 4]).toContain((await stage.run(['deployments:logs', wrong])).status);
  });

  test('following a deployment’s log ends when the deployment does', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    const { id } = createDeployment(stage.store, { app: 'hello', actor: 'ada', origin: { kind: 'folder' }, reason: 'Deploy folder' });
    const path = join(stage.services.config.data, 'deployments', `${id}.log`);
    mkdirSync(join(stage.services.config.data, 'deployments'));
    const following = stage.run(['deployments:logs', id, '-f']);
    writeFileSync(path, 'first\n');
    updateDeployment(stage.store, id, { status: 'building' });
    writeFileSync(path, 'last\n', { flag: 'a' });
    updateDeployment(stage.store, id, { status: 'canceled' });
    expect(await following).toMatchObject({ status: 0, stdout: 'first\nlast\n' });
  });
});

describe('deploy', () => {
  test('a tar on stdin deploys, and makes the app', async () => {
    const stage = openStage();
    expect((await stage.run(['deploy', 'fresh'], { stdin: 'tar bytes' })).status).toBe(0);
    expect(stage.asked).toEqual(['deploy folder fresh', 'source tar bytes']);
    expect(findAudit(stage.store, { app: 'fresh' })[0]).toMatchObject({ action: 'deploy', details: { from: 'folder', outcome: 'ok' } });
  });

  test('an image deploys by reference, and a bad reference is refused', async () => {
    const stage = openStage();
    expect(JSON.parse(await stage.ok('deploy', 'hello', '--image', 'nginx:1.27', '--json'))).toMatchObject({ app: 'hello', release: 1 });
    for (const wrong of ['-v', 'UPPER', 'a b', 'x;y']) expect((await stage.run(['deploy', 'hello', '--image', wrong])).status).toBe(2);
  });
});

test('status compares what runs with what is wanted', async () => {
  const stage = openStage();
  await stage.ok('apps:create', 'hello');
  release(stage.store, 'hello');
  expect(await stage.ok('status')).toMatch(/hello +running +v1 +0\/1/);
});

test('version and help answer everybody', async () => {
  const stage = openStage();
  const nobody = { name: 'ci', via: 'token', isAdmin: false, permission: 'view', apps: [] } as const;
  expect((await stage.run(['version'], { actor: nobody })).stdout).toBe('forge 1.2.3\n');
  expect((await stage.run(['help'], { actor: nobody })).stdout).toContain('config:set');
  expect((await stage.run([], { actor: nobody })).stdout).toContain('config:set');
  expect((await stage.run(['help', 'config:set'])).stdout).toBe((await stage.run(['config:set', '--help'])).stdout);
  expect((await stage.run(['help', 'frob'])).status).toBe(2);
});
