import { expect, onTestFinished, test } from 'vitest';
import { ForgeError } from '../../src/errors.ts';
import { createJobs, type JobRequest } from '../../src/jobs/jobs.ts';
import { createApp, updateApp } from '../../src/store/apps.ts';
import { createJob, findJob, findJobs } from '../../src/store/jobs.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';
import { fakeContainers } from './fake-containers.ts';

const request: JobRequest = { app: 'hello', entry: undefined, actor: 'ada', dueAt: undefined, argv: ['node', 'x.js'], env: {}, limitsOf: undefined, ttlMs: undefined, reader: undefined };

function open(clock = { now: new Date() }) {
  const store = openTestStore(undefined, clock);
  createApp(store, { name: 'hello' });
  setCurrentRelease(store, 'hello', createRelease(store, sampleRelease('hello')).version);
  const containers = fakeContainers();
  const boot = () => {
    const jobs = createJobs({ store, containers, config: { jobTimeout: 60_000, jobsPerApp: 25, jobsPerMachine: 100 }, log: silentLog });
    onTestFinished(async () => await jobs.close());
    return jobs;
  };
  return { store, containers, boot, clock };
}

test('a job runs in the live release, and its record ends with its status', async () => {
  const { store, containers, boot } = open();
  const { job, ended } = await boot().claim(request).launch();
  expect(containers.started).toMatchObject([{ id: job.id, name: job.name, argv: ['node', 'x.js'], release: { version: 1 } }]);
  expect(findJob(store, job.id)).toMatchObject({ outcome: undefined, program: 'node' });
  containers.end(job.name, 3);
  expect(await ended).toMatchObject({ outcome: 'failed', status: 3 });
  expect(containers.names()).toEqual([]);
});

test('one that cannot start says so in its record', async () => {
  const { store, containers, boot } = open();
  containers.failure = new ForgeError('failed', 'no such image');
  const claimed = boot().claim(request);
  await expect(claimed.launch()).rejects.toThrow('no such image');
  await expect.poll(() => findJob(store, claimed.job.id)).toMatchObject({ outcome: 'failed', status: undefined, failure: 'no such image' });
});

test('one that is stopped ends as stopped, whatever its status', async () => {
  const { containers, boot } = open();
  const jobs = boot();
  const { job } = await jobs.claim(request).launch();
  expect(await jobs.stop(job.id, 'stopped')).toMatchObject({ outcome: 'stopped', status: 143 });
  await expect(jobs.stop(job.id, 'stopped')).rejects.toMatchObject({ code: 'not-found' });
  expect(containers.names()).toEqual([]);
});

test('one that takes too long is stopped', async () => {
  const { boot } = open();
  const { ended } = await boot().claim({ ...request, ttlMs: 1 }).launch();
  expect(await ended).toMatchObject({ outcome: 'timed-out', status: 143 });
});

test('the next forge takes up what runs, reaps what is over its time, and records what ended or was never begun', async () => {
  const { store, containers, boot, clock } = open({ now: new Date('2026-05-04T04:00:00Z') });
  const first = boot();
  const [goesOn, isOver, hasEnded] = await Promise.all([first.claim({ ...request, ttlMs: 3_600_000 }).launch(), first.claim(request).launch(), first.claim({ ...request, entry: 'done' }).launch()]);
  const neverBegun = createJob(store, { ...request, program: 'node', version: 1, ttlMs: 1 });
  await first.close();
  expect(findJob(store, hasEnded.job.id)?.outcome).toBeUndefined();
  containers.end('cron.done', 0);
  clock.now = new Date('2026-05-04T04:10:00Z');
  const second = boot();
  await second.adopt();
  expect(findJob(store, neverBegun.id)).toMatchObject({ outcome: 'interrupted', status: undefined });
  await expect.poll(() => [isOver, hasEnded].map(({ job }) => findJob(store, job.id)?.outcome)).toEqual(['timed-out', 'succeeded']);
  expect(findJob(store, goesOn.job.id)?.outcome).toBeUndefined();
  containers.end(goesOn.job.name, 0);
  await expect.poll(() => findJob(store, goesOn.job.id)).toMatchObject({ outcome: 'succeeded', status: 0 });
  expect(containers.names()).toEqual([]);
});

test('a container whose job has ended, or is of an app that is gone, goes with the next start', async () => {
  const { store, containers, boot } = open();
  const first = boot();
  const { job } = await first.claim(request).launch();
  await first.close();
  store.db.run('DELETE FROM jobs');
  expect(containers.names()).toEqual([job.name]);
  await boot().adopt();
  expect(containers.names()).toEqual([]);
});

test('one whose container disappears is interrupted', async () => {
  const { store, containers, boot } = open();
  const first = boot();
  const { job, ended } = await first.claim(request).launch();
  await first.close();
  await ended;
  const second = boot();
  const { find } = containers;
  containers.find = async () => {
    const found = await find();
    for (const one of found) await containers.remove(one);
    return found;
  };
  await second.adopt();
  await expect.poll(() => findJobs(store, { app: 'hello' })).toMatchObject([{ outcome: 'interrupted', status: undefined }]);
  await expect(second.stop(job.id, 'stopped')).rejects.toMatchObject({ code: 'not-found' });
});

test('nothing begins in an app without a release, or that is being removed', async () => {
  const { store, containers, boot } = open();
  createApp(store, { name: 'empty' });
  const jobs = boot();
  expect(() => jobs.claim({ ...request, app: 'empty' })).toThrow('empty has no release yet');
  const claimed = jobs.claim(request);
  updateApp(store, 'hello', { isBeingRemoved: true });
  await expect(claimed.launch()).rejects.toThrow('hello is being removed');
  expect(containers.names()).toEqual([]);
  expect(() => jobs.claim(request)).toThrow('hello is being removed');
});
