import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyAppFile } from '../../src/app-file.ts';
import { deploymentLogPath } from '../../src/deploy/attempt.ts';
import { recover } from '../../src/deploy/recover.ts';
import type { Deployment, Origin } from '../../src/domain.ts';
import { getConfig, setConfig } from '../../src/store/app-config.ts';
import { makeCurrent, readAppState } from '../../src/store/app-state.ts';
import { createApp, getApp } from '../../src/store/apps.ts';
import { createDeployment, findDeployment, findUnfinishedDeployments, updateDeployment } from '../../src/store/deployments.ts';
import { owesFirstPostdeploy, setOwesFirstPostdeploy } from '../../src/store/first-postdeploy.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const commit = 'c'.repeat(40);
const push: Origin = { kind: 'git', branch: 'main', commit };

function openApp(): Store {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  return store;
}

const begin = (store: Store, origin: Origin = push): Deployment => createDeployment(store, { app: 'hello', actor: 'ada', origin, reason: 'Deploy' });

/** As far as the swap: its release is current, and nobody has confirmed it. */
function swap(store: Store, origin?: Origin): Deployment {
  const deployment = begin(store, origin);
  const { version } = createRelease(store, sampleRelease('hello'));
  setCurrentRelease(store, 'hello', version);
  return updateDeployment(store, deployment.id, { status: 'starting', version });
}

const succeed = (store: Store, origin?: Origin): void => void updateDeployment(store, swap(store, origin).id, { status: 'succeeded' });

const recoverWithRef = async (store: Store, ref: string | undefined): Promise<void> => await recover({ store, data: temporaryDirectory(), attempts: nobody, log: silentLog, resolveRef: async () => ref });
const nobody = { isUnderWay: () => false, endOf: () => undefined };

describe('recover', () => {
  it('takes a swap back whose ref git has not moved', async () => {
    const store = openApp();
    succeed(store);
    const { id } = swap(store);
    await recoverWithRef(store, 'another commit');
    expect(getApp(store, 'hello').currentVersion).toBe(1);
    expect(findDeployment(store, id)).toMatchObject({ status: 'failed', failure: expect.stringContaining('interrupted') as string });
  });

  it('lets a swap stand whose ref git has moved', async () => {
    const store = openApp();
    succeed(store);
    const { id } = swap(store);
    await recoverWithRef(store, commit);
    expect(getApp(store, 'hello').currentVersion).toBe(2);
    expect(findDeployment(store, id)?.status).toBe('succeeded');
  });

  it('finds the release before it behind any number of restarts, which make none', async () => {
    const store = openApp();
    succeed(store);
    for (let count = 0; count < 60; count += 1) updateDeployment(store, begin(store, { kind: 'change' }).id, { status: 'succeeded' });
    swap(store);
    await recoverWithRef(store, undefined);
    expect(getApp(store, 'hello').currentVersion).toBe(1);
  });

  it('leaves an app without a release when its first one was not confirmed', async () => {
    const store = openApp();
    swap(store);
    await recoverWithRef(store, undefined);
    expect(getApp(store, 'hello').currentVersion).toBeUndefined();
  });

  it('ends every attempt, however many there were', async () => {
    const store = openApp();
    for (let count = 0; count < 120; count += 1) begin(store);
    await recoverWithRef(store, undefined);
    expect(findUnfinishedDeployments(store)).toEqual([]);
  });

  it('tells in the log of the deployment how it ended, and what serves', async () => {
    const store = openApp();
    succeed(store);
    const [data, interrupted, live] = [temporaryDirectory(), begin(store), swap(store)];
    mkdirSync(join(data, 'deployments'));
    await recover({ store, data, attempts: nobody, log: silentLog, resolveRef: async () => commit });
    expect(readFileSync(deploymentLogPath(data, interrupted.id), 'utf8')).toBe(' !     interrupted: forge was stopped while it went on\n !     v2 goes on serving: try again\n');
    expect(readFileSync(deploymentLogPath(data, live.id), 'utf8')).toBe('=====> forge was stopped right after the swap; v2 is live\n');
  });

  it('ends the attempts of all other apps when git cannot tell of one, and tries that one again', async () => {
    const store = openApp();
    swap(store);
    createApp(store, { name: 'other' });
    const other = createDeployment(store, { app: 'other', actor: 'ada', origin: push, reason: 'Deploy' });
    const resolveRef = async () => await Promise.reject<undefined>(new Error('git could not read the repository'));
    await expect(recover({ store, data: temporaryDirectory(), attempts: nobody, log: silentLog, resolveRef })).rejects.toThrow('git could not read');
    expect(findDeployment(store, other.id)?.status).toBe('failed');
    expect(getApp(store, 'hello').currentVersion).toBe(1);
    await recoverWithRef(store, commit);
    expect(findUnfinishedDeployments(store)).toEqual([]);
  });

  it('leaves alone what an attempt of this run carries on, and what other apps have', async () => {
    const store = openApp();
    createApp(store, { name: 'other' });
    const [running, stale] = [begin(store), begin(store)];
    const other = createDeployment(store, { app: 'other', actor: 'ada', origin: push, reason: 'Deploy' });
    const attempts = { ...nobody, isUnderWay: (id: string) => id === running.id };
    await recover({ store, data: temporaryDirectory(), attempts, log: silentLog, resolveRef: async () => undefined }, 'hello');
    expect(findUnfinishedDeployments(store).map(({ id }) => id)).toEqual([running.id, other.id]);
    expect(findDeployment(store, stale.id)?.status).toBe('failed');
  });

  it('stores the end of an attempt as it was, when that could not be stored before', async () => {
    const store = openApp();
    const { id } = begin(store);
    const attempts = { isUnderWay: () => false, endOf: () => ({ status: 'canceled', failure: 'canceled by ada' }) as const };
    await recover({ store, data: temporaryDirectory(), attempts, log: silentLog, resolveRef: async () => undefined });
    expect(findDeployment(store, id)).toMatchObject({ status: 'canceled', failure: 'canceled by ada' });
  });

  it('takes config and settings back with the release', async () => {
    const store = openApp();
    succeed(store);
    setConfig(store, 'hello', { COLOR: 'red' });
    const { id } = begin(store);
    const { version } = createRelease(store, sampleRelease('hello'));
    updateDeployment(store, id, { status: 'starting', version });
    makeCurrent(store, { app: 'hello', deploymentId: id, state: { ...readAppState(store, 'hello'), version, config: { COLOR: 'green' } } });
    await recoverWithRef(store, 'another commit');
    expect(getApp(store, 'hello').currentVersion).toBe(1);
    expect(getConfig(store, 'hello')).toEqual({ COLOR: 'red' });
  });

  describe('of a first release with scripts.postdeploy', () => {
    function swapFirst(store: Store, origin: Origin): Deployment {
      const { id } = begin(store, origin);
      const appFile = { ...emptyAppFile, tasks: { ...emptyAppFile.tasks, firstPostdeploy: 'seed' } };
      const { version } = createRelease(store, { ...sampleRelease('hello'), appFile });
      makeCurrent(store, { app: 'hello', deploymentId: id, state: { ...readAppState(store, 'hello'), version }, owesFirstPostdeploy: true });
      return updateDeployment(store, id, { status: 'starting', version });
    }

    it('leaves the task to the next deploy when it was cut off, and warns', async () => {
      const store = openApp();
      const { id } = swapFirst(store, { kind: 'folder' });
      await recoverWithRef(store, undefined);
      expect(owesFirstPostdeploy(store, 'hello')).toBe(true);
      expect(findDeployment(store, id)).toMatchObject({ status: 'succeeded', warning: expect.stringContaining('scripts.postdeploy of app.json runs again at the next deploy') as string });
    });

    it('says nothing of a task that had succeeded', async () => {
      const store = openApp();
      const { id } = swapFirst(store, { kind: 'folder' });
      setOwesFirstPostdeploy(store, 'hello', false);
      await recoverWithRef(store, undefined);
      expect(findDeployment(store, id)).toMatchObject({ status: 'succeeded', warning: undefined });
    });

    it('owes nothing once the release is taken back', async () => {
      const store = openApp();
      swapFirst(store, push);
      await recoverWithRef(store, undefined);
      expect(getApp(store, 'hello').currentVersion).toBeUndefined();
      expect(owesFirstPostdeploy(store, 'hello')).toBe(false);
    });
  });
});
