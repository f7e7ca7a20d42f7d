import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createRepositories } from '../../src/git/repositories.ts';
import { operator } from '../../src/operations/actors.ts';
import { createApp, findApp, updateApp } from '../../src/store/apps.ts';
import { ensureApp } from '../../src/wire/ensure-app.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';

function openStage() {
  const repositories = createRepositories({ directory: temporaryDirectory(), hooksPath: '/none', nodePath: process.execPath, log: silentLog });
  return { store: openTestStore(), repositories };
}

it('a push makes an app without the code of an earlier one of that name', async () => {
  const core = openStage();
  writeFileSync(join(await core.repositories.ensure('hello'), 'of-the-earlier-one'), '');
  await ensureApp(operator, 'hello', core);
  expect(findApp(core.store, 'hello')).toBeDefined();
  expect(await core.repositories.exists('hello')).toBe(false);
});

it('two pushes that come at once make one app, and neither takes the code of the other away', async () => {
  const core = openStage();
  await core.repositories.ensure('hello');
  const push = async (): Promise<void> => {
    await ensureApp(operator, 'hello', core);
    writeFileSync(join(await core.repositories.ensure('hello'), `of-${Math.random()}`), '');
  };
  await Promise.all([push(), push(), push()]);
  expect(readdirSync(core.repositories.pathOf('hello')).filter((name) => name.startsWith('of-'))).toHaveLength(3);
});

it('a push to an app that is being removed is refused before it has made anything', async () => {
  const core = openStage();
  createApp(core.store, { name: 'hello' });
  updateApp(core.store, 'hello', { isBeingRemoved: true });
  await expect(ensureApp(operator, 'hello', core)).rejects.toMatchObject({ code: 'not-found' });
});
