import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { emptyAppFile, type CronEntry } from '../../src/app-file.ts';
import { createCron } from '../../src/jobs/cron.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import { createApp } from '../../src/store/apps.ts';
import { findJobs, findUnfinishedJobs } from '../../src/store/jobs.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';
import { fakeContainers } from './fake-containers.ts';

const minutely = (name: string, concurrencyPolicy: CronEntry['concurrencyPolicy'] = 'allow'): CronEntry => ({ name, argv: ['sleep', '3600'], schedule: '* * * * *', timeZone: 'UTC', concurrencyPolicy, isSuspended: false });
const hundred = Array.from({ length: 100 }, (_, index) => minutely(`cron-${index + 1}`));
const never = new AbortController().signal;

function open(apps: number, { cron = hundred, jobsPerApp = 25, jobsPerMachine = 100 }: { cron?: readonly CronEntry[]; jobsPerApp?: number; jobsPerMachine?: number } = {}) {
  const clock = { now: new Date('2026-05-04T09:30:00Z') };
  const store = openTestStore(undefined, clock);
  for (let index = 0; index < apps; index += 1) {
    const name = `app-${index}`;
    createApp(store, { name });
    setCurrentRelease(store, name, createRelease(store, { ...sampleRelease(name), appFile: { ...emptyAppFile, cron } }).version);
  }
  const containers = fakeContainers();
  const config = { jobTimeout: 7 * 86_400_000, jobsPerApp, jobsPerMachine };
  const jobs = createJobs({ store, containers, config, log: silentLog });
  onTestFinished(async () => await jobs.close());
  const schedules = createCron({ store, jobs, config, log: silentLog });
  const at = async (time: string) => ((clock.now = new Date(`2026-05-04T${time}Z`)), await schedules.tick(never));
  const running = () => Object.values(Object.groupBy(findUnfinishedJobs(store), ({ app }) => app)).map((ofApp) => ofApp?.length ?? 0);
  return { store, containers, jobs, at, running };
}

/** The longest piece of this thread's own work, in ms: by the clock, others may keep the processor for longer. */
async function longestBlock(work: Promise<unknown>): Promise<number> {
  let isOver = false;
  void work.finally(() => (isOver = true));
  let longest = 0;
  while (!isOver) {
    const usage = process.threadCpuUsage();
    await sleep(1);
    const own = process.threadCpuUsage(usage);
    longest = Math.max(longest, (own.user + own.system) / 1000);
  }
  await work;
  return longest;
}

test('four thousand schedules that are due in the same minute hold nobody up, and start what there is room for', { timeout: 120_000 }, async () => {
  const { store, containers, at, running } = open(40);
  const blocks = [await longestBlock(at('09:30:00'))];
  for (const minute of [31, 32, 33]) {
    blocks.push(await longestBlock(at(`09:${minute}:00`)));
    expect(findUnfinishedJobs(store)).toHaveLength(100);
  }
  expect(store.db.get(`SELECT count(*) AS count, count(DISTINCT app || entry) AS entries FROM jobs WHERE outcome = 'skipped'`)).toEqual({ count: 3 * 4000 - 100, entries: 4000 });
  expect(running()).toHaveLength(40);
  await expect.poll(() => containers.started.length).toBe(100);
  // Pieces of 8 ms; a slow machine takes longer for the same.
  expect(Math.max(...blocks)).toBeLessThan(100);
});

test('what goes over the room of an app is skipped, with the reason, and begins when there is room', async () => {
  const { store, containers, at } = open(1, { jobsPerApp: 2, cron: [minutely('a'), minutely('b'), minutely('c')] });
  await at('09:30:00');
  await at('09:31:00');
  await expect.poll(() => containers.started.length).toBe(2);
  const [skipped, ...others] = findJobs(store, { app: 'app-0' }).filter(({ outcome }) => outcome === 'skipped');
  expect(others).toEqual([]);
  expect(skipped?.failure).toBe('2 scheduled runs and detached commands of app-0 run, and an app may not have more (setting jobsPerApp)');
  containers.end(containers.names()[0] ?? '', 0);
  await expect.poll(() => findUnfinishedJobs(store).length).toBe(1);
  await at('09:32:00');
  await expect.poll(() => containers.started.length).toBe(3);
});

test('people’s commands and schedules share the room of the machine', async () => {
  const { store, jobs, at, running } = open(3, { jobsPerMachine: 5 });
  const request = { app: 'app-2', entry: undefined, actor: 'ada', dueAt: undefined, argv: ['sleep'], env: {}, limitsOf: undefined, ttlMs: undefined, reader: undefined };
  jobs.claim(request);
  await at('09:30:00');
  await at('09:31:00');
  expect(running().reduce((sum, count) => sum + count)).toBe(5);
  expect(Math.min(...running())).toBeGreaterThan(0);
  expect(() => jobs.claim({ ...request, app: 'app-0' })).toThrow('5 scheduled runs and detached commands run on the machine, which may not have more (setting jobsPerMachine)');
  expect(findJobs(store, { app: 'app-0' }).find(({ outcome }) => outcome === 'skipped')?.failure).toContain('setting jobsPerMachine');
});

test('a run that replaces the one before needs no further room', async () => {
  const { containers, at } = open(1, { jobsPerApp: 1, cron: [minutely('a', 'replace')] });
  for (const minute of [30, 31, 32, 33]) await at(`09:${minute}:00`);
  await expect.poll(() => containers.started.length).toBe(3);
  expect(containers.names()).toEqual(['cron.a']);
});

test('a tick that forge’s stop interrupts goes on with the rest at the next one, and repeats nothing', async () => {
  const { store, at } = open(2);
  await at('09:30:00');
  const stop = new AbortController();
  const ticking = createCron({ store, jobs: { claim: () => { stop.abort(); throw new Error('stopped'); }, stop: () => Promise.reject(new Error('none')) }, config: { jobsPerApp: 25, jobsPerMachine: 100 }, log: silentLog });
  await ticking.tick(stop.signal).catch(() => undefined);
  await at('09:31:00');
  await at('09:31:30');
  const perEntry = store.db.get('SELECT count(*) AS count FROM (SELECT 1 FROM jobs GROUP BY app, entry HAVING count(*) > 1)');
  expect([perEntry, findJobs(store, { app: 'app-1' }).length]).toEqual([{ count: 0 }, 100]);
});
