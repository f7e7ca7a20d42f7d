import { expect, it } from 'vitest';
import { candidateState } from '../../src/deploy/candidate.ts';
import { setConfig } from '../../src/store/app-config.ts';
import { createApp, getApp, updateApp } from '../../src/store/apps.ts';
import { openTestStore } from '../store/open-test-store.ts';

it('decides what depends on the settings when the turn has come, so that no change before it is lost', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  const mount = (volume: string) => ({ settings: ({ mounts }: { readonly mounts: readonly { volume: string; path: string }[] }) => ({ mounts: [...mounts, { volume, path: `/${volume}` }] }) });
  const [first, second] = [mount('a'), mount('b')];
  updateApp(store, 'hello', { settings: candidateState(getApp(store, 'hello'), first, store).settings });
  expect(candidateState(getApp(store, 'hello'), second, store).settings.mounts.map(({ volume }) => volume)).toEqual(['a', 'b']);
});

it('sets and removes variables, whatever they are called, and leaves the store alone', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { KEPT: '1', GONE: '2' });
  const { config } = candidateState(getApp(store, 'hello'), { config: Object.fromEntries([['GONE', null], ['__proto__', 'x']]) }, store);
  expect(Object.entries(config)).toEqual([['KEPT', '1'], ['__proto__', 'x']]);
  expect(getApp(store, 'hello').currentVersion).toBeUndefined();
});
