import { expect, test } from 'vitest';
import { createApp } from '../../src/store/apps.ts';
import { createRelease, findCurrentRelease, findLiveSince, findRelease, findReleases, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore } from './open-test-store.ts';
import { sampleRelease } from './sample-release.ts';

test('releases are numbered per app and come back as they were made', () => {
  const store = openTestStore();
  for (const name of ['hello', 'other']) createApp(store, { name });
  const first = createRelease(store, sampleRelease('hello', { A: 'ü$="\n' }));
  expect(createRelease(store, sampleRelease('other')).version).toBe(1);
  expect(createRelease(store, { ...sampleRelease('hello'), commit: undefined }).version).toBe(2);
  expect(findRelease(store, 'hello', 1)).toEqual(first);
  expect(findReleases(store, 'hello').map(({ version }) => version)).toEqual([2, 1]);
  expect(findReleases(store, 'hello', 1).map(({ version }) => version)).toEqual([2]);
});

test('the current release is the one that was made current', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  createRelease(store, sampleRelease('hello'));
  createRelease(store, sampleRelease('hello'));
  expect(findCurrentRelease(store, 'hello')).toBeUndefined();
  setCurrentRelease(store, 'hello', 1);
  expect(findCurrentRelease(store, 'hello')?.version).toBe(1);
  expect([...findLiveSince(store).keys()]).toEqual(['hello']);
});

test('a config snapshot is encrypted and cannot be moved to another release', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  createRelease(store, sampleRelease('hello', { A: 'canary-5d1c' }));
  createRelease(store, sampleRelease('hello', { A: 'second' }));
  expect(store.db.all('SELECT config FROM releases').some((row) => (row['config'] as Buffer).includes('canary'))).toBe(false);
  store.db.run('UPDATE releases SET config = (SELECT config FROM releases WHERE version = 1) WHERE version = 2');
  expect(() => findRelease(store, 'hello', 2)).toThrow(/is damaged or was moved there/);
});
