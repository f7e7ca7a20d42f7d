import { expect, it } from 'vitest';
import type { AppParts } from '../../src/apps/parts.ts';
import { finishRenames, rename } from '../../src/apps/rename.ts';
import { loadConfig } from '../../src/config.ts';
import { createLive } from '../../src/deploy/live.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { defaultSettings, type AppSettings, type Instance, type Release } from '../../src/domain.ts';
import { createFaults } from '../../src/faults.ts';
import { operator } from '../../src/operations/actors.ts';
import { createReport } from '../../src/report.ts';
import { createApp, findApp, updateApp } from '../../src/store/apps.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { findRenames } from '../../src/store/rename-app.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

/** An app with an instance that serves; an engine, a proxy and repositories that keep the books. */
async function openStage(settings: Partial<AppSettings> = {}) {
  const store = openTestStore();
  const done: string[] = [];
  const instanceOf = (app: string): Instance => ({ name: 'web.1', app, version: 1, type: 'web', ordinal: 1, containerId: `${app}-web`, address: '10.0.0.2', port: 8080, isRunning: true, deploymentId: 'd' });
  const note = (text: string) => async () => void done.push(text);
  const runtime = {
    promote: note('promote'),
    findInstances: async () => [],
    retire: async (instances: readonly Instance[]) => {
      done.push(...instances.map(({ containerId }) => `stop ${containerId}`));
      return [];
    },
    startRelease: async ({ release }: { release: Release }) => {
      done.push(`start ${release.app}-web`);
      return [instanceOf(release.app)];
    },
    removeApp: async (app: string) => void done.push(`remove ${app}`),
  };
  const disk = { isBroken: false, code: 'hello' };
  const repositories = {
    remove: async () => undefined,
    rename: (from: string, to: string) => {
      if (disk.isBroken) throw new Error('EIO: i/o error, rename');
      if (disk.code === from) disk.code = to;
    },
  };
  const stopping = new AbortController();
  const live = createLive({ proxy: { apply: async () => undefined, drained: async () => undefined }, runtime, log: silentLog, domain: 'localhost', controlSocket: '/none', signal: stopping.signal });
  createApp(store, { name: 'hello' });
  updateApp(store, 'hello', { formation: { web: { quantity: 1, limits: { memoryBytes: 512, cpuShares: 1024, pids: 512 } } } });
  createRelease(store, { ...sampleRelease('hello'), settings: { ...defaultSettings, ...settings } });
  setCurrentRelease(store, 'hello', 1);
  await live.restore(new Map([['hello', [instanceOf('hello')]]]));
  const logs = { removeApp: async () => undefined, renameApp: async () => undefined };
  const config = loadConfig({ data: temporaryDirectory(), flags: {}, env: {} });
  const parts = { store, live, runtime, repositories, logs, config, queue: createQueue(), faults: createFaults(''), settle: async () => undefined, log: silentLog } as unknown as AppParts;
  const request = { from: 'hello', to: 'bye', actor: operator, report: createReport([]), signal: new AbortController().signal };
  return { store, live, done, disk, parts, request };
}

it('a rename whose code cannot be moved is not undone once it is in force, and is finished as soon as it can be', async () => {
  const { store, live, done, disk, parts, request } = await openStage();
  disk.isBroken = true;
  await expect(rename(request, parts)).rejects.toThrow('EIO');
  expect(findApp(store, 'bye')).toMatchObject({ currentVersion: 1 });
  expect(live.servingOf('bye')).toHaveLength(1);
  expect(done).not.toContain('remove bye');
  expect(findRenames(store)).toMatchObject([{ isInForce: true }]);
  disk.isBroken = false;
  await finishRenames(parts);
  expect(disk.code).toBe('bye');
  expect([...live.all().keys()]).toEqual(['bye']);
  expect(findRenames(store)).toEqual([]);
});

it.each([{ uncheckedTypes: ['web'] }, { strategy: 'recreate' }] as const)('of an app of which two must never run (%j) the old one ends before the new one starts', async (settings) => {
  const { done, parts, request } = await openStage(settings);
  await rename(request, parts);
  expect(done.slice(0, 2)).toEqual(['stop hello-web', 'start bye-web']);
});

it('without such a setting the new one starts beside the old one', async () => {
  const { done, parts, request } = await openStage();
  await rename(request, parts);
  expect(done.slice(0, 2)).toEqual(['start bye-web', 'promote']);
});
