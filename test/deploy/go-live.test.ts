import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createAttempts, type Attempt } from '../../src/deploy/attempt.ts';
import { goLive } from '../../src/deploy/go-live.ts';
import { createLive } from '../../src/deploy/live.ts';
import type { DeployParts } from '../../src/deploy/parts.ts';
import { recover } from '../../src/deploy/recover.ts';
import type { Instance, Release, RouteTable } from '../../src/domain.ts';
import { ForgeError } from '../../src/errors.ts';
import { createFaults } from '../../src/faults.ts';
import { operator } from '../../src/operations/actors.ts';
import { getConfig, setConfig } from '../../src/store/app-config.ts';
import { readAppState } from '../../src/store/app-state.ts';
import { createApp, getApp, updateApp } from '../../src/store/apps.ts';
import { findDeployments } from '../../src/store/deployments.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const instance = (version: number): Instance => ({
  name: 'web.1', app: 'hello', version, type: 'web', ordinal: 1, containerId: `container-v${version}`, address: `10.0.0.${version}`, port: 8080, isRunning: true, deploymentId: 'd',
});

/** The real store, attempts and routes; a proxy and an engine that keep the books. Version 1 serves, 2 is about to. */
async function openStage() {
  const store = openTestStore();
  const done: string[] = [];
  const stopping = new AbortController();
  const proxy = {
    apply: async ({ routes }: RouteTable) => void done.push(`route ${routes.flatMap(({ targets }) => targets.map(({ address }) => address)).join()}`),
    drained: async (ids: readonly string[]) => void done.push(`drain ${ids.join()}`),
  };
  const runtime = {
    promote: async () => undefined,
    retire: async (instances: readonly Instance[]) => {
      done.push(...instances.map(({ containerId }) => `remove ${containerId}`));
      return [];
    },
  };
  const live = createLive({ proxy, runtime, log: silentLog, domain: 'localhost', controlSocket: '/none', signal: stopping.signal });
  createApp(store, { name: 'hello' });
  const [, release] = [createRelease(store, sampleRelease('hello')), createRelease(store, sampleRelease('hello'))] as [Release, Release];
  setCurrentRelease(store, 'hello', 1);
  await live.restore(new Map([['hello', [instance(1)]]]));
  const attempts = createAttempts({ store, data: temporaryDirectory(), log: silentLog });
  const output = new Writable({ write: (_chunk, _encoding, written) => written() });
  const attempt = attempts.open({ app: 'hello', actor: operator, origin: { kind: 'folder' }, reason: 'Deploy', output, signal: new AbortController().signal });
  const parts = { store, live, runtime, faults: createFaults(''), log: silentLog, config: { drainTimeout: 1, stopTimeout: 1 }, urlOf: () => 'http://hello.localhost' } as unknown as DeployParts;
  const swap = async (confirm: () => Promise<void>): Promise<void> => {
    const state = { ...readAppState(store, 'hello'), version: release.version, isStopped: false, config: { COLOR: 'green' } };
    await goLive({ release, state, started: { instances: [instance(2)], stopped: [] }, attempt, parts, confirm });
  };
  done.length = 0;
  return { store, live, done, stopping, attempts, attempt: attempt as Attempt, swap };
}

const refuse = async (): Promise<void> => {
  throw new ForgeError('failed', 'git did not move the ref');
};

describe('going live', () => {
  it('makes the release current and retires what it replaced', async () => {
    const { store, live, done, swap } = await openStage();
    updateApp(store, 'hello', { isStopped: true });
    await swap(async () => undefined);
    expect(getApp(store, 'hello')).toMatchObject({ currentVersion: 2, isStopped: false });
    expect(getConfig(store, 'hello')).toEqual({ COLOR: 'green' });
    expect(live.servingOf('hello')).toEqual([instance(2)]);
    expect(findDeployments(store)[0]?.status).toBe('succeeded');
    await expect.poll(() => done).toEqual(['route 10.0.0.2', expect.stringContaining('drain hello/web.1@v1'), 'remove container-v1']);
  });

  it('that is not confirmed swaps back, and lets requests on the new instances finish before these go', async () => {
    const { store, live, done, swap } = await openStage();
    updateApp(store, 'hello', { isStopped: true });
    setConfig(store, 'hello', { COLOR: 'red', SIZE: '1' });
    await expect(swap(refuse)).rejects.toThrow('git did not move the ref');
    expect(getApp(store, 'hello')).toMatchObject({ currentVersion: 1, isStopped: true });
    expect(getConfig(store, 'hello')).toEqual({ COLOR: 'red', SIZE: '1' });
    expect(live.servingOf('hello')).toEqual([instance(1)]);
    expect(done).toEqual(['route 10.0.0.2', 'route 10.0.0.1', expect.stringContaining('drain hello/web.1@v2'), 'remove container-v2']);
  });

  it('that is not confirmed swaps back also while forge stops', async () => {
    const { live, done, stopping, swap } = await openStage();
    const stop = async (): Promise<void> => {
      stopping.abort();
      await refuse();
    };
    await expect(swap(stop)).rejects.toThrow('git did not move the ref');
    expect(live.servingOf('hello')).toEqual([instance(1)]);
    expect(done.filter((what) => what.startsWith('route'))).toEqual(['route 10.0.0.2', 'route 10.0.0.1']);
  });

  it('stands when its success cannot be stored, and is stored as soon as it can be', async () => {
    const { store, live, attempt, attempts, swap } = await openStage();
    const confirm = async (): Promise<void> => void store.db.run(`CREATE TRIGGER full BEFORE UPDATE OF ended_at ON deployments BEGIN SELECT RAISE(FAIL, 'disk full'); END`);
    await swap(confirm);
    expect(live.servingOf('hello')).toEqual([instance(2)]);
    expect(getApp(store, 'hello').currentVersion).toBe(2);
    expect(findDeployments(store)[0]?.endedAt).toBeUndefined();
    expect(attempts.isUnderWay(attempt.id)).toBe(false);
    store.db.run('DROP TRIGGER full');
    await recover({ store, data: temporaryDirectory(), attempts, log: silentLog, resolveRef: async () => undefined }, 'hello');
    expect(findDeployments(store)[0]?.status).toBe('succeeded');
    expect(getApp(store, 'hello').currentVersion).toBe(2);
  });

  it('that fails leaves the app as it was, also when taking it back could not be stored at once', async () => {
    const { store, attempt, swap } = await openStage();
    const confirm = async (): Promise<void> => {
      store.db.run(`CREATE TRIGGER full BEFORE UPDATE OF current_version ON apps BEGIN SELECT RAISE(FAIL, 'disk full'); END`);
      await refuse();
    };
    await expect(swap(confirm)).rejects.toThrow('git did not move the ref');
    expect(getApp(store, 'hello').currentVersion).toBe(2);
    store.db.run('DROP TRIGGER full');
    await attempt.fail(new ForgeError('failed', 'git did not move the ref'));
    expect(getApp(store, 'hello').currentVersion).toBe(1);
    expect(findDeployments(store)[0]?.status).toBe('failed');
  });

  it('changes no route once it was canceled', async () => {
    const { store, done, attempt, attempts, swap } = await openStage();
    attempts.cancel(attempt.id, 'ada');
    await expect(swap(async () => undefined)).rejects.toThrow('canceled by ada');
    expect(getApp(store, 'hello').currentVersion).toBe(1);
    expect(done).toEqual(['remove container-v2']);
  });
});
