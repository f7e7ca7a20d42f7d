import { expect, test } from 'vitest';
import { createApp } from '../../src/store/apps.ts';
import { createDeployment, findDeployments, updateDeployment } from '../../src/store/deployments.ts';
import { deleteOldDeployments } from '../../src/store/old-deployments.ts';
import { deleteOldReleases, findCollectedVersions, findKeepReleases, findReleaseImages, giveUpImage, isImageCollected, keepImage, setKeepReleases } from '../../src/store/release-images.ts';
import { createRelease, findReleases, setCurrentRelease } from '../../src/store/releases.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestStore } from './open-test-store.ts';
import { sampleRelease } from './sample-release.ts';

/** A release with this image that served, and its deployment. */
function deployed(store: Store, app: string, image: string): void {
  const draft = sampleRelease(app);
  const { version } = createRelease(store, { ...draft, image: { ...draft.image, reference: `sha256:${image}` } });
  const { id } = createDeployment(store, { app, actor: 'ada', origin: { kind: 'change' }, reason: 'x' });
  setCurrentRelease(store, app, version);
  updateDeployment(store, id, { status: 'succeeded', version });
}

test('an image is given up for all releases of the app that have it, never while one of them serves', () => {
  const store = openTestStore();
  for (const app of ['hello', 'clone']) createApp(store, { name: app });
  for (const image of ['a', 'a', 'b']) deployed(store, 'hello', image);
  deployed(store, 'clone', 'a');
  expect(giveUpImage(store, 'hello', 'sha256:b')).toBe(false);
  expect(giveUpImage(store, 'hello', 'sha256:a')).toBe(true);
  expect([...findCollectedVersions(store, 'hello')]).toEqual([1, 2]);
  expect([...findCollectedVersions(store, 'clone')]).toEqual([]);
  expect(findReleaseImages(store, 'hello').map(({ version, isCurrent, hasBeenLive }) => ({ version, isCurrent, hasBeenLive }))).toEqual([
    { version: 3, isCurrent: true, hasBeenLive: true },
    { version: 2, isCurrent: false, hasBeenLive: true },
    { version: 1, isCurrent: false, hasBeenLive: true },
  ]);
  keepImage(store, 'hello', 'sha256:a');
  expect(isImageCollected(store, 'hello', 1)).toBe(false);
});

test('deployments beyond the number go, but for the one that tells of a kept release that it has served', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  for (const image of ['a', 'b', 'c', 'd', 'e']) deployed(store, 'hello', image);
  giveUpImage(store, 'hello', 'sha256:a');
  expect(deleteOldDeployments(store, 'hello', 2)).toHaveLength(1);
  expect(findDeployments(store, { app: 'hello' }).map(({ version }) => version)).toEqual([5, 4, 3, 2]);
});

test('a deployment that is under way is not forgotten', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  createDeployment(store, { app: 'hello', actor: 'ada', origin: { kind: 'change' }, reason: 'x' });
  expect(deleteOldDeployments(store, 'hello', 0)).toEqual([]);
});

test('releases whose image is gone are forgotten beyond the number, with their config', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  for (const image of ['a', 'b', 'c', 'd']) deployed(store, 'hello', image);
  for (const image of ['a', 'c']) giveUpImage(store, 'hello', `sha256:${image}`);
  expect(deleteOldReleases(store, 'hello', 2)).toBe(1);
  expect(findReleases(store, 'hello').map(({ version }) => version)).toEqual([4, 3, 2]);
});

test('an app may keep another number of images than the rest', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  expect(findKeepReleases(store, 'hello')).toBeUndefined();
  setKeepReleases(store, 'hello', 3);
  expect(findKeepReleases(store, 'hello')).toBe(3);
  setKeepReleases(store, 'hello', undefined);
  expect(findKeepReleases(store, 'hello')).toBeUndefined();
  expect(() => setKeepReleases(store, 'nobody', 3)).toThrow(/no app/);
});
