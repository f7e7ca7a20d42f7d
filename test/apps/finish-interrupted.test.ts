import { expect, it } from 'vitest';
import { createApps } from '../../src/apps/apps.ts';
import type { AppParts } from '../../src/apps/parts.ts';
import { loadConfig } from '../../src/config.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { completeApp, createApp, createUnfinishedApp, findApps } from '../../src/store/apps.ts';
import { beginRename, endRename, findRenames, putRenameInForce } from '../../src/store/rename-app.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';

/** An engine that keeps the books, and does something else while it removes the first app. */
function openStage(meanwhile: () => void) {
  const store = openTestStore();
  const done: string[] = [];
  const nothing = async () => undefined;
  const runtime = {
    removeApp: async (app: string) => {
      done.push(app);
      if (done.length === 1) meanwhile();
    },
    images: { remove: nothing },
  };
  const parts = {
    store,
    runtime,
    queue: createQueue(),
    live: { all: () => new Map(), servingOf: () => [], remove: nothing, retire: nothing },
    repositories: { remove: nothing, rename: () => undefined },
    logs: { removeApp: nothing, renameApp: nothing },
    volumes: { sweep: nothing },
    forgetBuilds: nothing,
    config: loadConfig({ data: temporaryDirectory(), flags: {}, env: {} }),
    log: silentLog,
  } as unknown as AppParts;
  return { store, done, apps: createApps(parts) };
}

it('an app that became whole while another was removed stays', async () => {
  const { store, done, apps } = openStage(() => {
    completeApp(store, 'imported');
    store.db.run(`DELETE FROM apps WHERE name = 'left'`);
  });
  for (const name of ['gone', 'imported', 'left']) createUnfinishedApp(store, name);
  await apps.finishInterrupted();
  expect(done).toEqual(['gone']);
  expect(findApps(store).map(({ name, isBeingRemoved }) => [name, isBeingRemoved])).toEqual([['imported', false]]);
});

it('a rename that ended, or came into force, while another was finished is neither undone nor done with what it was', async () => {
  const { store, done, apps } = openStage(() => {
    endRename(store, 'b');
    putRenameInForce(store, { from: 'c', to: 'z' });
  });
  for (const name of ['a', 'b', 'c']) createApp(store, { name });
  for (const [from, to] of [['a', 'x'], ['b', 'y'], ['c', 'z']] as const) beginRename(store, { from, to });
  await apps.finishInterrupted();
  // Of a and b what was begun under the new name would go, of c what was left under the old one.
  expect(done).toEqual(['x', 'c']);
  expect(findRenames(store)).toEqual([]);
});
