import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ForgeError } from '../../src/errors.ts';
import { createJobs, type JobRequest, type Jobs } from '../../src/jobs/jobs.ts';
import { createApp, updateApp } from '../../src/store/apps.ts';
import { createJob, findJob, findJobs } from '../../src/store/jobs.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { inTransaction } from '../../src/store/store.ts';
import { openTestStore, silentLog } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';
import { fakeContainers, type FakeContainers } from './fake-containers.ts';

const request: JobRequest = { app: 'hello', entry: undefined, actor: 'ada', dueAt: undefined, argv: ['node', 'x.js'], env: {}, limitsOf: undefined, ttlMs: undefined, reader: undefined };

function open(clock = { now: new Date() }) {
  const store = openTestStore(undefined, clock);
  createApp(store, { name: 'hello' });
  setCurrentRelease(store, 'hello', createRelease(store, sampleRelease('hello')).version);
  const containers = fakeContainers();
  const boot = () => {
    const jobs = createJobs({ store, containers, config: { jobTimeout: 60_000, jobsPerApp: 25, jobsPerMachine: 100 }, log: silentLog, retryMs: 50 });
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

/** From now on the disk is full: nothing is updated. */
function fillDisk(store: ReturnType<typeof openTestStore>): () => void {
  store.db.run("CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END");
  return () => store.db.run('DROP TRIGGER full');
}

describe('on a full disk, or with an engine that refuses', () => {
  test.each([
    ['an end', async (containers: FakeContainers, jobs: Jobs, id: string) => void (containers.end(`run.${id}`, 0), jobs), 'succeeded'],
    ['the end of one that is stopped', async (_containers: FakeContainers, jobs: Jobs, id: string) => void jobs.stop(id, 'stopped'), 'stopped'],
  ])('%s that cannot be recorded is recorded later, and the job has its place until then', async (_name, end, outcome) => {
    const { store, containers, boot } = open();
    const jobs = boot();
    const { job, ended } = await jobs.claim(request).launch();
    const empty = fillDisk(store);
    await end(containers, jobs, job.id);
    expect(containers.names()).toEqual([job.name]);
    await expect(Promise.race([ended, delay(120, 'still tried')])).resolves.toBe('still tried');
    expect(findJob(store, job.id)?.outcome).toBeUndefined();
    expect(containers.names()).toEqual([job.name]);
    empty();
    expect(await ended).toMatchObject({ outcome });
    expect(containers.names()).toEqual([]);
  });

  test('a stop of a job whose end cannot be recorded ends with its reason', async () => {
    const { store, boot } = open();
    const jobs = boot();
    const { job } = await jobs.claim(request).launch();
    fillDisk(store);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const stopped = expect(jobs.stop(job.id, 'stopped')).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('could not be recorded') as string });
    await vi.advanceTimersByTimeAsync(200_000);
    await stopped;
  });

  test('a container that cannot be removed is removed later, and nobody waits for that', async () => {
    const { store, containers, boot } = open();
    const jobs = boot();
    const { job, ended } = await jobs.claim(request).launch();
    const { remove } = containers;
    containers.remove = async () => {
      throw new ForgeError('unavailable', 'the Docker Engine does not answer');
    };
    containers.end(job.name, 0);
    expect(await ended).toMatchObject({ outcome: 'succeeded' });
    await expect(jobs.stop(job.id, 'stopped')).rejects.toMatchObject({ code: 'not-found' });
    expect(findJob(store, job.id)?.outcome).toBe('succeeded');
    containers.remove = remove;
    await expect.poll(() => containers.names()).toEqual([]);
  });
});

test('a record that is rolled back leaves nothing behind', async () => {
  const { store, containers, boot } = open();
  const jobs = boot();
  let id = '';
  expect(() =>
    inTransaction(store, () => {
      id = jobs.claim(request).job.id;
      throw new Error('database or disk is full');
    }),
  ).toThrow('full');
  expect(findJobs(store, { app: 'hello' })).toEqual([]);
  await expect(jobs.stop(id, 'stopped')).rejects.toMatchObject({ code: 'not-found' });
  expect(containers.started).toEqual([]);
});
