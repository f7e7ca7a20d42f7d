import { expect, test } from 'vitest';
import { keptImageName, labels } from '../../src/labels.ts';
import { ownerOf, planImages } from '../../src/retention/image-plan.ts';
import { createApp } from '../../src/store/apps.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const dataId = 'd1';
const id = (letter: string): string => `sha256:${letter.repeat(64)}`;
const taken = (app: string, letter: string) => ({ id: id(letter), names: [keptImageName({ dataId, app, reference: id(letter) })], labels: { [labels.data]: 'another-machine', [labels.app]: 'theirs' } });

test('an image that an import had loaded when forge was killed goes with the next collection', () => {
  const store = openTestStore();
  const left = taken('gone', 'a');
  expect(ownerOf(left, dataId)).toBe('gone');
  expect(ownerOf(left, 'd2')).toBeUndefined();
  const plan = (isAbandoned: boolean) => planImages({ app: 'gone', images: [left], overCap: new Set(), isAbandoned: () => isAbandoned }, { store, dataId, keepReleases: 10 });
  expect(plan(true).doomed).toEqual([{ id: left.id, app: 'gone', versions: [], names: left.names }]);
  expect(plan(false).doomed).toEqual([]);
});

test('an image that an app runs stays, whatever app it was once taken in for', () => {
  const store = openTestStore();
  createApp(store, { name: 'renamed' });
  const release = sampleRelease('renamed');
  createRelease(store, { ...release, image: { ...release.image, reference: id('a') } });
  setCurrentRelease(store, 'renamed', 1);
  const request = { images: [taken('gone', 'a')], overCap: new Set<string>(), isAbandoned: () => true };
  for (const app of ['gone', 'renamed']) expect(planImages({ ...request, app }, { store, dataId, keepReleases: 10 }).doomed).toEqual([]);
});
