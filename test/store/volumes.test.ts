import { expect, test } from 'vitest';
import { createApp, deleteApp } from '../../src/store/apps.ts';
import { beginRename } from '../../src/store/rename-app.ts';
import { createVolume, dropVolume, findDroppedVolumes, findVolumes, forgetDroppedVolume, getMountedVolume, getVolume, prepareReplacement, replaceVolume, setVolumeFilled } from '../../src/store/volumes.ts';
import { openTestStore } from './open-test-store.ts';

const dataId = 'd1';

test('volumes of two apps never share a name in the engine', () => {
  const store = openTestStore();
  for (const name of ['a', 'a-b']) createApp(store, { name });
  const first = createVolume(store, { app: 'a', name: 'b-c', dataId });
  const second = createVolume(store, { app: 'a-b', name: 'c', dataId });
  expect(first.engineName).toBe('forge-d1-a-b-c');
  expect(second.engineName).toMatch(/^forge-d1-a-b-c-[0-9a-f]{8}$/);
  expect(() => createVolume(store, { app: 'a', name: 'b-c', dataId })).toThrow(expect.objectContaining({ code: 'conflict' }));
  expect(() => createVolume(store, { app: 'a', name: '../x', dataId })).toThrow(expect.objectContaining({ code: 'invalid' }));
  expect(() => createVolume(store, { app: 'none', name: 'x', dataId })).toThrow(expect.objectContaining({ code: 'not-found' }));
});

test('what nothing names any more is kept in mind until the engine has removed it', () => {
  const store = openTestStore();
  createApp(store, { name: 'a' });
  const { engineName } = createVolume(store, { app: 'a', name: 'data', dataId });
  expect(dropVolume(store, 'a', 'data')).toBe(true);
  expect(dropVolume(store, 'a', 'data')).toBe(false);
  expect(findDroppedVolumes(store)).toEqual([engineName]);
  expect(createVolume(store, { app: 'a', name: 'data', dataId }).engineName).not.toBe(engineName);
  forgetDroppedVolume(store, engineName);
  expect(findDroppedVolumes(store)).toEqual([]);
});

test('a restored volume takes the place of the one before, which is dropped; one that was not finished is dropped too', () => {
  const store = openTestStore();
  createApp(store, { name: 'a' });
  const before = createVolume(store, { app: 'a', name: 'data', dataId });
  const unfinished = prepareReplacement(store, 'a', 'data');
  const engineName = prepareReplacement(store, 'a', 'data');
  replaceVolume(store, { app: 'a', name: 'data', engineName });
  expect(getVolume(store, 'a', 'data')).toMatchObject({ engineName, isFilled: true });
  expect(findDroppedVolumes(store)).toEqual([before.engineName, unfinished].toSorted());
});

test('instances under a new name find the volumes of the app that is being renamed', () => {
  const store = openTestStore();
  createApp(store, { name: 'old' });
  const volume = createVolume(store, { app: 'old', name: 'data', dataId });
  expect(() => getMountedVolume(store, 'fresh', 'data')).toThrow(expect.objectContaining({ code: 'not-found' }));
  beginRename(store, { from: 'old', to: 'fresh' });
  expect(getMountedVolume(store, 'fresh', 'data')).toEqual(volume);
  setVolumeFilled(store, volume.engineName);
  expect(findVolumes(store)).toMatchObject([{ app: 'old', isFilled: true }]);
  deleteApp(store, 'old');
  expect(findVolumes(store)).toEqual([]);
});
