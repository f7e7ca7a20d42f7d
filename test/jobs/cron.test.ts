import { expect, onTestFinished, test } from 'vitest';
import { emptyAppFile, type CronEntry } from '../../src/app-file.ts';
import { createCron } from '../../src/jobs/cron.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import { createApp, updateApp } from '../../src/store/apps.ts';
import { findCronMarks, resumeCron, suspendCron } from '../../src/store/cron.ts';
import { findJobs } from '../../src/store/jobs.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';
import { fakeContainers } from './fake-containers.ts';

const hourly: CronEntry = { name: 'report', argv: ['node', 'report.js'], schedule: '0 * * * *', timeZone: 'UTC', concurrencyPolicy: 'allow', isSuspended: false };

const never = new AbortController().signal;
const room = { jobsPerApp: 25, jobsPerMachine: 100 };

function open(...cron: CronEntry[]) {
  const clock = { now: new Date('2026-05-04T09:30:00Z') };
  const store = openTestStore(undefined, clock);
  createApp(store, { name: 'hello' });
  const deploy = (...entries: CronEntry[]) => setCurrentRelease(store, 'hello', createRelease(store, { ...sampleRelease('hello'), appFile: { ...emptyAppFile, cron: entries } }).version);
  deploy(...cron);
  const containers = fakeContainers();
  const boot = () => {
    const jobs = createJobs({ store, containers, config: { jobTimeout: 7 * 86_400_000, ...room }, log: silentLog });
    onTestFinished(async () => await jobs.close());
    const cron = createCron({ store, jobs, config: room, log: silentLog });
    return { jobs, cron, at: async (time: string) => ((clock.now = new Date(`2026-05-04T${time}Z`)), await cron.tick(never)) };
  };
  /** Oldest first. */
  const runs = () => findJobs(store, { app: 'hello' }).map(({ dueAt, outcome }) => `${dueAt?.slice(11, 16)} ${outcome ?? 'running'}`).toReversed();
  return { store, containers, deploy, boot, runs, clock };
}

const began = async (containers: ReturnType<typeof fakeContainers>, count: number) => await expect.poll(() => containers.started.length).toBe(count);

test('each time is run once, in the release that is live then', async () => {
  const { containers, deploy, boot, runs } = open(hourly);
  const { at } = boot();
  await at('09:30:00');
  await at('10:00:00');
  await at('10:00:05');
  await began(containers, 1);
  expect(containers.started[0]).toMatchObject({ name: 'cron.report', argv: ['node', 'report.js'], release: { version: 1 } });
  containers.end('cron.report', 0);
  await expect.poll(runs).toEqual(['10:00 succeeded']);
  deploy(hourly);
  await at('11:00:00.500');
  await began(containers, 2);
  expect(containers.started[1]?.release.version).toBe(2);
});

test('a deploy that takes an entry out ends its schedule, and one that changes it begins it anew', async () => {
  const { store, containers, deploy, boot } = open(hourly);
  const { at } = boot();
  await at('09:30:00');
  deploy({ ...hourly, schedule: '30 * * * *' });
  await at('10:10:00');
  deploy();
  await at('10:40:00');
  expect(findCronMarks(store)).toEqual([]);
  deploy(hourly);
  await at('11:10:00');
  expect(containers.started).toEqual([]);
  await at('12:00:00');
  await began(containers, 1);
});

test('a forge that was down runs what it missed once, or tells that it came too late', async () => {
  const { containers, boot, runs } = open(hourly, { ...hourly, name: 'daily', schedule: '0 10 * * *' });
  await boot().at('09:30:00');
  const { at } = boot();
  await at('14:20:00');
  await began(containers, 1);
  await at('14:20:05');
  expect(runs().toSorted()).toEqual(['10:00 missed', '14:00 running']);
});

test('a forge that is killed between the record and the container does not run that time again', async () => {
  const { containers, boot, runs } = open(hourly);
  const first = boot();
  await first.at('09:30:00');
  containers.start = () => new Promise(() => undefined);
  await first.at('10:00:00');
  const next = boot();
  await next.jobs.adopt();
  await next.at('10:00:20');
  expect(runs()).toEqual(['10:00 interrupted']);
});

test('forbid: the second is skipped while the first runs, also when another forge has started it', async () => {
  const { containers, boot, runs } = open({ ...hourly, concurrencyPolicy: 'forbid' });
  const first = boot();
  await first.at('09:30:00');
  await first.at('10:00:00');
  await began(containers, 1);
  await first.at('11:00:00');
  await first.jobs.close();
  const second = boot();
  await second.jobs.adopt();
  await second.at('12:00:00');
  expect(runs()).toEqual(['10:00 running', '11:00 skipped', '12:00 skipped']);
  await expect(second.cron.runNow({ app: 'hello', entry: 'report', actor: 'ada', reader: undefined })).rejects.toMatchObject({ code: 'conflict' });
  containers.end('cron.report', 0);
  await expect.poll(() => runs()[0]).toBe('10:00 succeeded');
  await second.at('13:00:00');
  await began(containers, 2);
});

test('replace: the first has ended when the second begins', async () => {
  const { containers, boot, runs } = open({ ...hourly, concurrencyPolicy: 'replace' });
  const { at } = boot();
  await at('09:30:00');
  await at('10:00:00');
  await began(containers, 1);
  await at('11:00:00');
  await began(containers, 2);
  expect(containers.stopped).toEqual(['cron.report']);
  expect(runs()).toEqual(['10:00 replaced', '11:00 running']);
  expect(containers.names()).toEqual(['cron.report']);
});

test('allow: they overlap, up to ten', async () => {
  const { containers, boot, runs } = open({ ...hourly, schedule: '* * * * *' });
  const { at } = boot();
  await at('09:30:00');
  for (let minute = 31; minute <= 42; minute += 1) await at(`09:${minute}:00`);
  await began(containers, 10);
  expect(runs().slice(-3)).toEqual(['09:40 running', '09:41 skipped', '09:42 skipped']);
});

test('nothing runs of a stopped app, nor of what is suspended, and nothing of that time is made up for', async () => {
  const { store, containers, boot } = open(hourly, { ...hourly, name: 'never', isSuspended: true });
  const { at } = boot();
  await at('09:30:00');
  updateApp(store, 'hello', { isStopped: true });
  await at('10:00:00');
  updateApp(store, 'hello', { isStopped: false });
  await at('10:20:00');
  suspendCron(store, 'hello', 'report');
  await at('11:00:00');
  resumeCron(store, 'hello', 'report');
  await at('11:10:00');
  suspendCron(store, 'hello');
  await at('12:00:00');
  resumeCron(store, 'hello');
  await at('12:01:00');
  expect(containers.started).toEqual([]);
  await at('13:00:00');
  await began(containers, 1);
});

test('one that is run by hand needs no time, and leaves the schedule as it is', async () => {
  const { containers, boot, runs } = open(hourly);
  const { at, cron } = boot();
  await at('09:30:00');
  const { ended } = await cron.runNow({ app: 'hello', entry: 'report', actor: 'ada', reader: undefined });
  containers.end('cron.report', 4);
  expect(await ended).toMatchObject({ status: 4, actor: 'ada', dueAt: undefined });
  await at('10:00:00');
  await began(containers, 2);
  expect(runs().at(-1)).toBe('10:00 running');
  await expect(cron.runNow({ app: 'hello', entry: 'nope', actor: 'ada', reader: undefined })).rejects.toThrow('hello has no schedule "nope"');
});
