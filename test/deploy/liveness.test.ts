import { afterEach, describe, expect, it } from 'vitest';
import type { Check } from '../../src/app-file.ts';
import { createAttempts } from '../../src/deploy/attempt.ts';
import { createLive } from '../../src/deploy/live.ts';
import { superviseLiveness, type LivenessTimes } from '../../src/deploy/liveness.ts';
import type { DeployParts } from '../../src/deploy/parts.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { defaultSettings, type AppSettings, type Instance } from '../../src/domain.ts';
import { ForgeError } from '../../src/errors.ts';
import { createFaults } from '../../src/faults.ts';
import { plainCheck } from '../../src/runtime/checks.ts';
import { createApp, updateApp } from '../../src/store/apps.ts';
import { findDeployments } from '../../src/store/deployments.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const limits = { memoryBytes: 512, cpuShares: 1024, pids: 512 };
const liveness: Check = { ...plainCheck({ kind: 'tcp' }, 10), kind: 'liveness', attempts: 3 };
const times: LivenessTimes = { lookEveryMs: 5, leastWaitMs: 5, firstPauseMs: 40, longestPauseMs: 80, settledMs: 60_000 };

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** The real store, routes, attempts, queue and supervision; an engine and a proxy that keep the books. */
async function openStage(settings: Partial<AppSettings> = {}) {
  const store = openTestStore();
  const stopping = new AbortController();
  const done: string[] = [];
  const stage = { store, done, sick: new Set<string>(), asked: [] as string[], cannotStart: false, cannotLook: 0, cannotAsk: '' as '' | 'unavailable' | 'timeout', started: 0, passesEvery: Infinity, routed: [] as string[] };
  const proxy = { apply: async () => void stage.routed.push(serving().join(' ')), drained: async () => undefined };
  const instance = (ordinal: number, containerId = `old-${ordinal}`): Instance => ({
    name: `web.${ordinal}`, app: 'hello', version: 1, type: 'web', ordinal, containerId, address: '10.0.0.2', port: 8080, isRunning: true, deploymentId: 'd',
  });
  const runtime = {
    createAsk: ({ containerId }: Instance) => async () => {
      stage.asked.push(containerId);
      if (stage.cannotAsk) throw new ForgeError(stage.cannotAsk, 'the Docker Engine does not answer');
      return stage.sick.has(containerId) && stage.asked.filter((id) => id === containerId).length % stage.passesEvery !== 0 ? 'answered 500' : undefined;
    },
    findInstances: async () => {
      if (stage.cannotLook-- > 0) throw new ForgeError('unavailable', 'the Docker Engine does not answer');
      return [];
    },
    promote: async (instances: readonly Instance[]) => void done.push(...instances.map(({ containerId }) => `promote ${containerId}`)),
    retire: async (instances: readonly Instance[]) => {
      done.push(...instances.map(({ containerId }) => `retire ${containerId}`));
      return [];
    },
    startRelease: async ({ places }: { places: readonly { ordinal: number }[] }) => {
      stage.started += 1;
      done.push(`start ${places.map(({ ordinal }) => ordinal).join()}`);
      if (stage.cannotStart) throw new ForgeError('timeout', 'web.1 was not ready within 60 s');
      return places.map(({ ordinal }) => instance(ordinal, `new-${ordinal}-${stage.started}`));
    },
  };
  const serving = (): string[] => live.servingOf('hello').map(({ containerId }) => containerId);
  const live = createLive({ proxy, runtime, log: silentLog, domain: 'localhost', controlSocket: '/none', signal: stopping.signal });
  createApp(store, { name: 'hello' });
  updateApp(store, 'hello', { formation: { web: { quantity: 2, limits } } });
  const release = sampleRelease('hello');
  createRelease(store, { ...release, settings: { ...defaultSettings, checks: { web: [liveness] }, ...settings } });
  setCurrentRelease(store, 'hello', 1);
  await live.restore(new Map([['hello', [instance(1), instance(2)]]]));
  const attempts = createAttempts({ store, data: temporaryDirectory(), log: silentLog });
  const queue = createQueue();
  const config = { drainTimeout: 1, stopTimeout: 1, readinessTimeout: 60_000, memory: 512, cpuShares: 1024, pids: 512 };
  const parts = { store, live, runtime, queue, attempts, config, faults: createFaults(''), settle: async () => undefined, log: silentLog } as unknown as DeployParts;
  const ended = superviseLiveness(parts, stopping.signal, times);
  endings.push(async () => {
    stopping.abort();
    await ended;
    await attempts.close();
  });
  return Object.assign(stage, { live, queue, serving, instance, end: async () => (stopping.abort(), await ended) });
}

describe('an instance that fails its liveness check', () => {
  it('is replaced by another in its place, started before the old one goes, and the record says why', async () => {
    const stage = await openStage();
    stage.sick.add('old-1');
    await expect.poll(stage.serving).toEqual(['new-1-1', 'old-2']);
    await expect.poll(() => stage.done).toEqual(['start 1', 'promote new-1-1', 'retire old-1']);
    expect(findDeployments(stage.store)).toMatchObject([{ app: 'hello', actor: 'forge', status: 'succeeded', reason: 'Replace web.1: liveness check failed 3 times' }]);
    stage.asked.length = 0;
    await expect.poll(() => new Set(stage.asked)).toEqual(new Set(['new-1-1', 'old-2']));
    expect(stage.asked).not.toContain('old-1');
  });

  it('fewer times than its attempts in a row stays', async () => {
    const stage = await openStage();
    stage.passesEvery = 3;
    stage.sick.add('old-1');
    await expect.poll(() => stage.asked.filter((id) => id === 'old-1').length).toBeGreaterThan(9);
    expect(stage.done).toEqual([]);
  });

  it.each(['unavailable', 'timeout'] as const)('is not held to have failed while the engine cannot be asked (%s), and is asked on', async (code) => {
    const stage = await openStage();
    stage.cannotAsk = code;
    const count = () => stage.asked.filter((id) => id === 'old-1').length;
    await expect.poll(count).toBeGreaterThan(8);
    expect(stage.done).toEqual([]);
    stage.sick.add('old-1');
    stage.cannotAsk = '';
    await expect.poll(stage.serving).toEqual(['new-1-1', 'old-2']);
  });

  it('stays while no other gets ready, which is recorded and tried again with growing pauses', async () => {
    const stage = await openStage();
    stage.cannotStart = true;
    stage.sick.add('old-1');
    await expect.poll(() => stage.started, { timeout: 5_000 }).toBeGreaterThan(2);
    expect(stage.serving()).toEqual(['old-1', 'old-2']);
    expect(findDeployments(stage.store).at(-1)).toMatchObject({ status: 'failed', failure: 'web.1 was not ready within 60 s' });
    stage.cannotStart = false;
    await expect.poll(() => stage.serving()[0], { timeout: 5_000 }).toMatch(/^new-1/);
  });

  it('is left alone when it is well again by the time the app’s turn comes', async () => {
    const stage = await openStage();
    const turn = stage.queue.takeIfFree('hello', 'a push');
    stage.sick.add('old-1');
    const count = () => stage.asked.filter((id) => id === 'old-1').length;
    await expect.poll(count).toBe(3);
    stage.sick.delete('old-1');
    turn?.[Symbol.dispose]();
    await expect.poll(count).toBeGreaterThan(4);
    expect(stage.done).toEqual([]);
    expect(findDeployments(stage.store)).toEqual([]);
  });

  it('goes before its successor starts where two must never run', async () => {
    const stage = await openStage({ strategy: 'recreate' });
    stage.sick.add('old-1');
    await expect.poll(() => stage.done).toEqual(['retire old-1', 'start 1', 'promote new-1-1']);
    expect(stage.serving()).toEqual(['old-2', 'new-1-1']);
  });

  it('is back in the routes when the engine does not tell whether it has ended', async () => {
    const stage = await openStage({ strategy: 'recreate' });
    stage.cannotLook = 1;
    stage.sick.add('old-1');
    await expect.poll(stage.serving, { timeout: 5_000 }).toEqual(['old-2', expect.stringMatching(/^new-1/)]);
    expect(findDeployments(stage.store).at(-1)).toMatchObject({ status: 'failed', failure: 'the Docker Engine does not answer' });
    expect(stage.routed.slice(0, 3)).toEqual(['old-1 old-2', 'old-2', 'old-2 old-1']);
  });

  it('of a type whose checks are off is never asked', async () => {
    const stage = await openStage({ uncheckedTypes: ['web'] });
    await stage.end();
    expect(stage.asked).toEqual([]);
  });

  it('is watched also when its app got its name only after it had begun to serve', async () => {
    const stage = await openStage();
    await stage.live.swap('bye', [{ ...stage.instance(1, 'of-bye'), app: 'bye' }]);
    await expect.poll(() => stage.asked.length).toBeGreaterThan(4);
    createApp(stage.store, { name: 'bye' });
    createRelease(stage.store, { ...sampleRelease('bye'), settings: { ...defaultSettings, checks: { web: [liveness] } } });
    await expect.poll(() => stage.asked).toContain('of-bye');
  });
});
