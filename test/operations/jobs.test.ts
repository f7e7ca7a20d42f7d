import { beforeEach, describe, expect, it } from 'vitest';
import { emptyAppFile, type CronEntry } from '../../src/app-file.ts';
import { createApp, updateApp } from '../../src/store/apps.ts';
import { createJob, findJobs, recordUnrun } from '../../src/store/jobs.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { sampleRelease } from '../store/sample-release.ts';
import { openStage, type Stage } from './stage.ts';

const nightly: CronEntry = { name: 'nightly', argv: ['node', 'clean.js', 'a b'], schedule: '30 4 * * *', timeZone: 'Europe/Berlin', concurrencyPolicy: 'forbid', isSuspended: false };

let stage: Stage;
beforeEach(() => {
  stage = openStage();
  createApp(stage.store, { name: 'hello' });
  const entries = [nightly, { ...nightly, name: 'paused', isSuspended: true }];
  setCurrentRelease(stage.store, 'hello', createRelease(stage.store, { ...sampleRelease('hello'), appFile: { ...emptyAppFile, cron: entries } }).version);
});

const json = async (operation: string, ...words: string[]) => JSON.parse(await stage.ok(operation, '--json', ...words));
const until = async (count: number) => await expect.poll(() => stage.containers.names().length).toBe(count);

describe('cron', () => {
  it('is listed with its next time and why there is none', async () => {
    expect(await json('cron:list', 'hello')).toMatchObject([
      { name: 'nightly', schedule: '30 4 * * *', timeZone: 'Europe/Berlin', command: ['node', 'clean.js', 'a b'], concurrencyPolicy: 'forbid', next: '2026-11-22T03:30:00.000Z' },
      { name: 'paused', suspendedBy: 'app.json' },
    ]);
    expect(await stage.ok('cron', 'hello')).toMatch(/nightly +30 4 \* \* \* \(Europe\/Berlin\) +in 18 h +never +node clean\.js a b/);
    updateApp(stage.store, 'hello', { isStopped: true });
    expect(await stage.ok('cron:list', 'hello')).toContain('the app is stopped');
  });

  it('is run by hand, with its exit status, and the record names who did it', async () => {
    const running = stage.run(['cron:run', 'hello', 'nightly']);
    await until(1);
    expect((await stage.run(['cron:run', 'hello', 'nightly'])).status).toBe(5);
    stage.containers.end('cron.nightly', 3);
    expect(await running).toMatchObject({ status: 3 });
    expect(await json('cron:runs', 'hello', 'nightly')).toMatchObject([{ name: 'cron.nightly', outcome: 'failed', status: 3, actor: 'operator' }]);
    expect(await stage.ok('cron:list', 'hello')).toContain('failed (status 3)');
    expect((await stage.run(['cron:run', 'hello', 'nope'])).stderr).toContain('its schedules: nightly, paused');
  });

  it('tells times that led to nothing', async () => {
    recordUnrun(stage.store, { app: 'hello', entry: 'nightly', program: 'node', version: 1, actor: 'cron', dueAt: stage.clock.now.toISOString() }, 'missed');
    expect(await stage.ok('cron:runs', 'hello')).toContain('missed: forge was down');
  });

  it('is suspended and resumed, one or all', async () => {
    await stage.ok('cron:suspend', 'hello', 'nightly');
    expect(await stage.ok('cron:list', 'hello')).toContain('suspended by cron:suspend');
    await stage.ok('cron:resume', 'hello', 'nightly');
    await stage.ok('cron:suspend', 'hello');
    const { status, stderr } = await stage.run(['cron:resume', 'hello', 'nightly']);
    expect([status, stderr]).toEqual([5, expect.stringContaining('all schedules of hello are suspended')]);
    expect(await stage.ok('cron:resume', 'hello')).toContain('Suspended by app.json, which a deploy changes: paused');
    expect((await stage.run(['cron:suspend', 'hello', 'nope'])).status).toBe(4);
  });
});

describe('run:detached', () => {
  it('prints a name, runs with what it was given, and is listed until and after its end', async () => {
    const name = (await stage.ok('run:detached', '-e', 'A=b c', '--ttl', '60', '--type', 'web', 'hello', 'node', 'x.js', '-n')).trim();
    expect(name).toMatch(/^run\.[0-9a-f]{8}$/);
    expect(stage.containers.started).toMatchObject([{ name, argv: ['node', 'x.js', '-n'], env: { A: 'b c' }, limitsOf: 'web' }]);
    expect(await json('run:list', 'hello')).toMatchObject([{ name, program: 'node', deadlineAt: '2026-11-21T10:01:00.000Z' }]);
    stage.containers.end(name, 0);
    await expect.poll(async () => await stage.ok('run:list', 'hello')).toContain('succeeded');
  });

  it('is stopped by its name, once', async () => {
    const { name } = await json('run:detached', 'hello', 'sleep', '60');
    expect(await stage.ok('run:stop', 'hello', name)).toBe(`${name} of hello: was stopped (status 143)\n`);
    expect((await stage.run(['run:stop', 'hello', name])).status).toBe(5);
    expect((await stage.run(['run:stop', 'hello', 'run.00000000'])).status).toBe(4);
    expect((await stage.run(['run:stop', 'hello', 'web.1'])).status).toBe(2);
  });

  it('has its lines in the log of the app', async () => {
    const { name } = await json('run:detached', 'hello', 'x');
    stage.logLines.push({ at: '2026-11-21T10:00:00Z', process: name, text: 'line' });
    expect(await stage.ok('run:logs', 'hello', name)).toContain(`app[${name}]: line`);
    expect(stage.logQueries.at(-1)).toMatchObject({ processes: [name] });
    expect((await stage.run(['run:logs', 'hello', 'run.00000000'])).status).toBe(4);
  });

  it('keeps arguments out of records and the audit', async () => {
    await stage.ok('run:detached', '-e', 'KEY=secret1', 'hello', 'node', 'secret2');
    expect(JSON.stringify([findJobs(stage.store, { app: 'hello' }), await json('audit')])).not.toMatch(/secret/);
  });
});

describe('ps:exec', () => {
  const instance = (name: string, version = 1) => ({ name, app: 'hello', version, type: name.split('.')[0] ?? '', ordinal: Number(name.split('.')[1]), containerId: `${name}@${version}`, address: '', port: 1, isRunning: true, deploymentId: 'd' });

  it('enters web.1 of the live release with a shell, unless something else is said', async () => {
    stage.instances = [instance('worker.1'), instance('web.1', 2), instance('web.2'), instance('web.1')];
    const entered = async (...words: string[]) => {
      expect((await stage.run(['ps:exec', 'hello', ...words])).status).toBe(4);
      const { instance: into, argv } = stage.entered.at(-1) ?? {};
      return [into?.containerId, ...(argv ?? [])];
    };
    expect(await entered()).toEqual(['web.1@1', 'sh']);
    expect(await entered('worker.1')).toEqual(['worker.1@1', 'sh']);
    expect(await entered('worker', 'ps', 'aux')).toEqual(['worker.1@1', 'ps', 'aux']);
    expect(await entered('web.2', '--', 'ls', '-l')).toEqual(['web.2@1', '--', 'ls', '-l']);
    expect(await entered('cat', 'web.2')).toEqual(['web.1@1', 'cat', 'web.2']);
    expect((await stage.run(['enter', 'hello', 'web.9'])).stderr).toContain('its instances: web.1, web.2, worker.1');
  });

  it('says so when nothing runs', async () => {
    expect(await stage.run(['ps:exec', 'hello'])).toMatchObject({ status: 5, stderr: expect.stringContaining('nothing of hello runs') });
  });
});

describe('ps:rebuild', () => {
  it('deploys the branch’s commit again from the files that were pushed', async () => {
    expect(await stage.run(['ps:rebuild', 'hello'])).toMatchObject({ status: 5, stderr: expect.stringContaining('nothing was pushed to hello') });
    stage.branches.set('hello', 'main');
    expect(await json('ps:rebuild', 'hello')).toMatchObject({ app: 'hello', release: 2 });
    expect(stage.asked).toEqual(['deploy git hello', 'source files of 3f2a91c']);
  });
});

it('an app has at most twenty-five commands and runs at the same time, and what did not begin for that says so', async () => {
  for (let count = 0; count < 25; count++) createJob(stage.store, { app: 'hello', entry: count % 2 === 0 ? undefined : 'nightly', program: 'sleep', version: 1, actor: 'operator', dueAt: undefined, ttlMs: 60_000 });
  expect(await stage.run(['run:detached', 'hello', 'true'])).toMatchObject({ status: 5, stderr: expect.stringContaining('setting jobsPerApp') });
  expect(findJobs(stage.store, { app: 'hello' })).toHaveLength(25);
  stage.clock.now = new Date(stage.clock.now.getTime() + 1000);
  recordUnrun(stage.store, { app: 'hello', entry: 'nightly', program: 'node', version: 1, actor: 'cron', dueAt: stage.clock.now.toISOString() }, 'skipped', 'no room (setting jobsPerApp)');
  expect(await stage.ok('cron:list', 'hello')).toContain('skipped: no room (setting jobsPerApp)');
  expect(await stage.ok('cron:runs', 'hello')).toContain('skipped: no room (setting jobsPerApp)');
});

it.each(['0', '-1', '1e99', 'NaN', 'Infinity', '604801', '1.5', '', '99999999999999999999', '0x10'])('a detached command has no time limit of %j', async (ttl) => {
  expect(await stage.run(['run:detached', '--ttl', ttl, 'hello', 'true'])).toMatchObject({ status: 2 });
  expect(findJobs(stage.store, { app: 'hello' })).toEqual([]);
});

it('commands are those of their own app alone', async () => {
  createApp(stage.store, { name: 'other' });
  setCurrentRelease(stage.store, 'other', createRelease(stage.store, { ...sampleRelease('other'), appFile: { ...emptyAppFile, cron: [nightly] } }).version);
  const { name } = await json('run:detached', 'other', 'sleep', '60');
  void stage.run(['cron:run', 'other', 'nightly']);
  await until(2);
  for (const theirs of [name, 'cron.nightly']) {
    expect(await stage.run(['run:stop', 'hello', theirs])).toMatchObject({ status: 4, stderr: expect.stringContaining(`hello has no command ${theirs}`) });
    expect(await stage.run(['run:logs', 'hello', theirs])).toMatchObject({ status: 4 });
  }
  expect([stage.containers.stopped, stage.logQueries]).toEqual([[], []]);
  for (const container of [name, 'cron.nightly']) stage.containers.end(container, 0);
});
