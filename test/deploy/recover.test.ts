import { describe, expect, it } from 'vitest';
import { recover } from '../../src/deploy/recover.ts';
import type { Deployment, Origin } from '../../src/domain.ts';
import { createApp, getApp } from '../../src/store/apps.ts';
import { createDeployment, findDeployment, findUnfinishedDeployments, updateDeployment } from '../../src/store/deployments.ts';
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
});
