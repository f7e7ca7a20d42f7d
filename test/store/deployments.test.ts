import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deploymentStatuses } from '../../src/domain.ts';
import { createApp } from '../../src/store/apps.ts';
import { nextDeploymentId } from '../../src/store/deployment-id.ts';
import { createDeployment, findDeployment, findDeployments, findUnfinishedDeployments, isFinished, updateDeployment } from '../../src/store/deployments.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestStore } from './open-test-store.ts';

const draft = { app: 'hello', actor: 'ada', origin: { kind: 'git', branch: 'main', commit: '3f2a91c' }, reason: 'Deploy 3f2a91c' } as const;

function storeWithApps(clock = { now: new Date('2026-11-21T10:00:00Z') }): Store {
  const store = openTestStore(undefined, clock);
  for (const name of ['hello', 'other']) createApp(store, { name });
  return store;
}

test('an attempt is recorded from its first moment to its end, with its times', () => {
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = storeWithApps(clock);
  const { id } = createDeployment(store, draft);
  expect(findDeployment(store, id)).toEqual({
    ...draft, id, status: 'queued', failure: undefined, warning: undefined, version: undefined, createdAt: '2026-11-21T10:00:00.000Z', startedAt: undefined, endedAt: undefined,
  });
  clock.now = new Date('2026-11-21T10:00:01Z');
  updateDeployment(store, id, { status: 'building' });
  clock.now = new Date('2026-11-21T10:00:09Z');
  updateDeployment(store, id, { status: 'releasing', version: 7 });
  updateDeployment(store, id, { status: 'failed', failure: 'web.1 exited' });
  expect(findDeployment(store, id)).toMatchObject({
    status: 'failed', failure: 'web.1 exited', version: 7, startedAt: '2026-11-21T10:00:01.000Z', endedAt: '2026-11-21T10:00:09.000Z',
  });
});

test('a status never goes back, and an attempt that has ended never changes', () => {
  const store = storeWithApps();
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...deploymentStatuses), { maxLength: 8 }), (path) => {
      const { id } = createDeployment(store, draft);
      for (const status of path) {
        const before = findDeployment(store, id);
        try {
          updateDeployment(store, id, { status });
          expect(isFinished(before?.status ?? 'failed')).toBe(false);
        } catch (error) {
          expect(error).toMatchObject({ code: 'conflict' });
          expect(findDeployment(store, id)).toEqual(before);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('attempts are found by app and status, newest first', () => {
  const store = storeWithApps();
  const ids = [1, 2, 3].map(() => createDeployment(store, draft).id);
  const other = createDeployment(store, { ...draft, app: 'other' }).id;
  updateDeployment(store, ids[1] ?? '', { status: 'succeeded' });
  expect(findDeployments(store, { app: 'hello' }).map(({ id }) => id)).toEqual(ids.toReversed());
  expect(findDeployments(store, { statuses: ['queued'], limit: 2 }).map(({ id }) => id)).toEqual([other, ids[2]]);
  expect(findUnfinishedDeployments(store).map(({ id }) => id)).toEqual([ids[0], ids[2], other]);
});

test('ids are 16 digits and letters and always rise, whatever the clock does', () => {
  fc.assert(
    fc.property(fc.array(fc.date({ min: new Date(0), max: new Date('3000-01-01'), noInvalidDate: true }), { minLength: 2 }), (times) => {
      let newest: string | undefined;
      for (const time of times) {
        const id = nextDeploymentId(time, newest);
        expect(id).toMatch(/^[0-9a-z]{16}$/);
        if (newest !== undefined) expect(id > newest).toBe(true);
        newest = id;
      }
    }),
  );
});
