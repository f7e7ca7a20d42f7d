import { expect, test } from 'vitest';
import { emptyAppFile, type CronEntry } from '../../src/app-file.ts';
import { createApp, deleteApp, updateApp } from '../../src/store/apps.ts';
import { deleteCronMark, findCronMarks, findScheduledEntries, findSuspensions, putCronMark, resumeCron, suspendCron } from '../../src/store/cron.ts';
import { createJob, findJob, findJobs, findLastRuns, findUnfinishedJobs, finishJob, recordUnrun, type JobDraft } from '../../src/store/jobs.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore } from './open-test-store.ts';
import { sampleRelease } from './sample-release.ts';

const draft: JobDraft = { app: 'hello', entry: 'nightly', program: 'node', version: 3, actor: 'cron', dueAt: '2026-05-04T04:00:00.000Z', ttlMs: 60_000 };
const open = (clock = { now: new Date('2026-05-04T04:00:01Z') }) => {
  const store = openTestStore(undefined, clock);
  createApp(store, { name: 'hello' });
  return store;
};

test('a job has its row from the first moment, and its first end is the one that counts', () => {
  const store = open();
  const job = createJob(store, draft);
  expect(job).toMatchObject({ name: 'cron.nightly', deadlineAt: '2026-05-04T04:01:01.000Z', endedAt: undefined, outcome: undefined });
  expect(findUnfinishedJobs(store)).toEqual([job]);
  finishJob(store, job.id, { outcome: 'failed', status: 3, failure: undefined });
  finishJob(store, job.id, { outcome: 'interrupted', status: undefined, failure: undefined });
  expect(findJob(store, job.id)).toMatchObject({ outcome: 'failed', status: 3, endedAt: '2026-05-04T04:00:01.000Z' });
  expect(findUnfinishedJobs(store)).toEqual([]);
});

test('a person’s command is called after its id', () => {
  const job = createJob(open(), { ...draft, entry: undefined, dueAt: undefined });
  expect(job.name).toBe(`run.${job.id}`);
});

test('an id that is taken is drawn again', () => {
  const store = open();
  const { id } = createJob(store, draft);
  const draws = [id, id, '0badcafe'];
  expect(createJob(store, { ...draft, entry: undefined }, () => draws.shift() ?? id)).toMatchObject({ id: '0badcafe', name: 'run.0badcafe' });
  expect(() => createJob(store, draft, () => id)).toThrow('UNIQUE');
  expect(findJobs(store, { app: 'hello' })).toHaveLength(2);
});

test('the last fifty of each schedule are kept, and every one that runs', () => {
  const clock = { now: new Date('2026-05-04T04:00:00Z') };
  const store = open(clock);
  const running = createJob(store, draft);
  const own = createJob(store, { ...draft, entry: undefined });
  finishJob(store, own.id, { outcome: 'succeeded', status: 0, failure: undefined });
  for (let minute = 1; minute <= 60; minute += 1) {
    clock.now = new Date(Date.UTC(2026, 4, 4, 5, minute));
    recordUnrun(store, draft, 'skipped');
  }
  expect(findJobs(store, { app: 'hello', entry: 'nightly' }).map(({ outcome }) => outcome)).toEqual([...Array.from({ length: 50 }, () => 'skipped'), undefined]);
  expect(findJobs(store, { app: 'hello', entry: 'nightly' }).at(-1)).toEqual(running);
  expect(findJobs(store, { app: 'hello', entry: null })).toHaveLength(1);
  expect(findJobs(store, { app: 'hello', limit: 5 })).toHaveLength(5);
  expect([...findLastRuns(store, 'hello')].map(([entry, { createdAt }]) => [entry, createdAt])).toEqual([['nightly', '2026-05-04T06:00:00.000Z']]);
});

test('an app that is gone has no jobs, gets none, and leaves no marks', () => {
  const store = open();
  const job = createJob(store, draft);
  putCronMark(store, { app: 'hello', entry: 'nightly', schedule: '* * * * *', timeZone: 'UTC', handledUntil: 'x' });
  suspendCron(store, 'hello');
  deleteApp(store, 'hello');
  expect([findJob(store, job.id), findCronMarks(store), [...findSuspensions(store)]]).toEqual([undefined, [], []]);
  expect(() => createJob(store, draft)).toThrow('there is no app "hello"');
});

test('schedules are those of live releases whose app is not stopped', () => {
  const store = open();
  const entry: CronEntry = { name: 'nightly', argv: ['node', 'a b'], schedule: '0 4 * * *', timeZone: 'UTC', concurrencyPolicy: 'forbid', isSuspended: false };
  createRelease(store, { ...sampleRelease('hello'), appFile: { ...emptyAppFile, cron: [{ ...entry, name: 'old' }] } });
  const { version } = createRelease(store, { ...sampleRelease('hello'), appFile: { ...emptyAppFile, cron: [entry] } });
  createRelease(store, { ...sampleRelease('hello'), appFile: { ...emptyAppFile, cron: [{ ...entry, name: 'new' }] } });
  expect(findScheduledEntries(store)).toEqual([]);
  setCurrentRelease(store, 'hello', version);
  expect(findScheduledEntries(store)).toEqual([{ app: 'hello', version, entry }]);
  updateApp(store, 'hello', { isStopped: true });
  expect(findScheduledEntries(store)).toEqual([]);
});

test('marks are one per schedule, suspensions one per schedule or for all', () => {
  const store = open();
  const mark = { app: 'hello', entry: 'nightly', schedule: '0 4 * * *', timeZone: 'UTC', handledUntil: '2026-05-04T04:00:00.000Z' };
  putCronMark(store, mark);
  putCronMark(store, { ...mark, handledUntil: '2026-05-05T04:00:00.000Z' });
  expect(findCronMarks(store)).toEqual([{ ...mark, handledUntil: '2026-05-05T04:00:00.000Z' }]);
  deleteCronMark(store, mark);
  expect(findCronMarks(store)).toEqual([]);
  suspendCron(store, 'hello', 'nightly');
  suspendCron(store, 'hello', 'nightly');
  suspendCron(store, 'hello');
  expect(findSuspensions(store).get('hello')).toEqual({ isAll: true, entries: new Set(['nightly']) });
  resumeCron(store, 'hello', 'nightly');
  expect(findSuspensions(store).get('hello')).toEqual({ isAll: true, entries: new Set() });
  resumeCron(store, 'hello');
  expect(findSuspensions(store).size).toBe(0);
});
