import { expect, test } from 'vitest';
import { getConfig, setConfig } from '../../src/store/app-config.ts';
import { createApp, findApp, getApp, updateApp } from '../../src/store/apps.ts';
import { createDeployment, findDeployments } from '../../src/store/deployments.ts';
import { createKey, findKeys } from '../../src/store/keys.ts';
import { createRelease, findReleases, setCurrentRelease } from '../../src/store/releases.ts';
import { beginRename, endRename, findRenames, putRenameInForce } from '../../src/store/rename-app.ts';
import { createVolume, findVolumes } from '../../src/store/volumes.ts';
import { openTestStore } from './open-test-store.ts';
import { sampleRelease } from './sample-release.ts';

const rename = { from: 'hello', to: 'greeter' };

function openWithApp() {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { SECRET: 'canary', __proto__x: '1' });
  createRelease(store, sampleRelease('hello', { SECRET: 'first' }));
  createRelease(store, sampleRelease('hello', { SECRET: 'second' }));
  setCurrentRelease(store, 'hello', 2);
  updateApp(store, 'hello', { settings: { port: 4000 } });
  createDeployment(store, { app: 'hello', actor: 'laptop', origin: { kind: 'folder' }, reason: 'Deploy folder' });
  createVolume(store, { app: 'hello', name: 'data', dataId: 'd1' });
  return store;
}

test('everything of an app carries the new name, and what is encrypted is read under it', () => {
  const store = openWithApp();
  beginRename(store, rename);
  putRenameInForce(store, rename);
  expect(findApp(store, 'hello')).toBeUndefined();
  expect(getApp(store, 'greeter')).toMatchObject({ currentVersion: 2, settings: { port: 4000 } });
  expect({ ...getConfig(store, 'greeter') }).toEqual({ SECRET: 'canary', __proto__x: '1' });
  expect(findReleases(store, 'greeter').map(({ config }) => config['SECRET'])).toEqual(['second', 'first']);
  expect(findDeployments(store, { app: 'greeter' })).toHaveLength(1);
  expect(findVolumes(store, 'greeter')).toMatchObject([{ engineName: 'forge-d1-hello-data' }]);
  expect(findRenames(store)).toEqual([{ ...rename, isInForce: true }]);
  expect(store.db.all('PRAGMA foreign_key_check')).toEqual([]);
});

test('no column of the database that can name an app is left behind', () => {
  const store = openWithApp();
  beginRename(store, rename);
  putRenameInForce(store, rename);
  endRename(store, 'hello');
  const tables = store.db.all("SELECT name FROM sqlite_master WHERE type = 'table'").map((row) => String(row['name']));
  const left = tables.filter((table) => store.db.all(`SELECT * FROM "${table}"`).some((row) => Object.values(row).includes('hello')));
  expect(left).toEqual([]);
});

test('permissions follow the name', () => {
  const store = openWithApp();
  createKey(store, { name: 'mate', type: 'ssh-ed25519', blob: 'AAAA', fingerprint: 'SHA256:x', grant: { isAdmin: false, permission: 'deploy', apps: ['hello', 'other'] } });
  beginRename(store, rename);
  putRenameInForce(store, rename);
  expect(findKeys(store)[0]?.grant.apps).toEqual(['greeter', 'other']);
});

test('both names are taken until a rename is finished, and a name that is taken is refused', () => {
  const store = openWithApp();
  createApp(store, { name: 'other' });
  expect(() => beginRename(store, { from: 'hello', to: 'other' })).toThrow(expect.objectContaining({ code: 'conflict' }));
  expect(() => beginRename(store, { from: 'none', to: 'x' })).toThrow(expect.objectContaining({ code: 'not-found' }));
  beginRename(store, rename);
  expect(() => createApp(store, { name: 'greeter' })).toThrow(/being renamed/);
  expect(() => beginRename(store, { from: 'other', to: 'greeter' })).toThrow(expect.objectContaining({ code: 'conflict' }));
  putRenameInForce(store, rename);
  expect(() => createApp(store, { name: 'hello' })).toThrow(/being renamed/);
  endRename(store, 'hello');
  expect(createApp(store, { name: 'hello' }).name).toBe('hello');
});
