import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createAttempts } from '../../src/deploy/attempt.ts';
import type { AppChange } from '../../src/deploy/candidate.ts';
import { change } from '../../src/deploy/changes.ts';
import { createLive } from '../../src/deploy/live.ts';
import type { DeployParts } from '../../src/deploy/parts.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import type { Release } from '../../src/domain.ts';
import { createFaults } from '../../src/faults.ts';
import { operator } from '../../src/operations/actors.ts';
import { getConfig, setConfig } from '../../src/store/app-config.ts';
import { createApp, getApp, updateApp } from '../../src/store/apps.ts';
import { findDeployments } from '../../src/store/deployments.ts';
import { createRelease, findCurrentRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

/** A live app whose instances start at once, and somebody else who has its turn. */
async function openApp(config: Readonly<Record<string, string>> = {}) {
  const store = openTestStore();
  const data = temporaryDirectory();
  const started: Release[] = [];
  const runtime = { promote: async () => undefined, retire: async () => [], findInstances: async () => [], startRelease: async ({ release }: { release: Release }) => (started.push(release), []) };
  const live = createLive({ proxy: { apply: async () => undefined, drained: async () => undefined }, runtime, log: silentLog, domain: 'localhost', controlSocket: '/none', signal: new AbortController().signal });
  await live.restore(new Map());
  const queue = createQueue();
  const attempts = createAttempts({ store, data, log: silentLog });
  const parts = { store, live, runtime, queue, attempts, config: loadConfig({ data, flags: {}, env: {} }), faults: createFaults(''), settle: async () => undefined, urlOf: () => '', log: silentLog } as unknown as DeployParts;
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', config);
  createRelease(store, sampleRelease('hello', getConfig(store, 'hello')));
  setCurrentRelease(store, 'hello', 1);
  const before = queue.takeIfFree('hello', 'a push');
  const request = () => ({ app: 'hello', actor: operator, reason: 'Set KEY', restart: true, output: new PassThrough().resume(), signal: new AbortController().signal });
  return { store, started, endTurn: () => before?.[Symbol.dispose](), run: async (wanted: AppChange) => await change({ ...request(), change: wanted }, parts) };
}

const set = (wanted: Readonly<Record<string, string>>) => (now: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(wanted).filter(([key, value]) => now[key] !== value));

it('a value that was the same when it was asked for, and no longer is in its turn, is set', async () => {
  const { store, run, endTurn } = await openApp({ KEY: 'old' });
  const changing = run({ config: set({ KEY: 'old' }) });
  setConfig(store, 'hello', { KEY: 'new' });
  endTurn();
  expect(await changing).toEqual({ release: 2, pending: undefined });
  expect(findCurrentRelease(store, 'hello')?.config).toMatchObject({ KEY: 'old' });
});

it('a value that somebody else has set meanwhile makes no release', async () => {
  const { store, started, run, endTurn } = await openApp();
  const changing = run({ config: set({ KEY: 'value' }) });
  setConfig(store, 'hello', { KEY: 'value' });
  endTurn();
  expect(await changing).toEqual({ release: undefined, pending: 'unchanged' });
  expect(await run({ config: set({ KEY: 'value' }) })).toEqual({ release: undefined, pending: 'unchanged' });
  expect(started).toEqual([]);
  expect(findDeployments(store, { app: 'hello' }).map(({ status }) => status)).toEqual(['succeeded']);
});

it('limits keep the quantity that a scale before them has set', async () => {
  const { store, run, endTurn } = await openApp();
  const limits = { memoryBytes: 64 * 1024 ** 2, cpuShares: 512, pids: 64 };
  const changing = run({ formation: ({ web = { quantity: 1, limits } }) => ({ web: { ...web, limits } }) });
  updateApp(store, 'hello', { formation: { web: { quantity: 3, limits: { ...limits, pids: 100 } } } });
  endTurn();
  expect(await changing).toEqual({ release: 2, pending: undefined });
  expect(getApp(store, 'hello').formation).toEqual({ web: { quantity: 3, limits } });
});
