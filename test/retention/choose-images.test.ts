import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layersOf } from '../../src/docker/image-layers.ts';
import { chooseImages, chooseOverCap, weighLayers, type KeptImage } from '../../src/retention/choose-images.ts';
import { chooseCaches } from '../../src/retention/collect-caches.ts';
import type { ReleaseImage } from '../../src/store/release-images.ts';

const release = (version: number, reference: string, more: Partial<ReleaseImage> = {}): ReleaseImage => ({
  app: 'hello', version, reference, builder: 'dockerfile', createdAt: '2026-11-21T10:00:00Z', isCurrent: false, hasBeenLive: true, collectedAt: undefined, ...more,
});

describe('chooseImages', () => {
  test('keeps the images that served last, counted by image and not by release', () => {
    const releases = [release(6, 'c', { isCurrent: true }), release(5, 'c'), release(4, 'b'), release(3, 'b'), release(2, 'a'), release(1, 'a')];
    expect(chooseImages(releases, 2)).toEqual({ kept: ['c', 'b'], giveUp: ['a'], keepAgain: [] });
  });

  test('gives up what never served, unless an older release with it did', () => {
    const releases = [release(4, 'a', { hasBeenLive: false }), release(3, 'x', { hasBeenLive: false }), release(2, 'b', { isCurrent: true }), release(1, 'a')];
    expect(chooseImages(releases, 2)).toEqual({ kept: ['b', 'a'], giveUp: ['x'], keepAgain: [] });
  });

  test('takes back what was given up and has been built again', () => {
    const releases = [release(3, 'a', { isCurrent: true }), release(2, 'b'), release(1, 'a', { collectedAt: 'once' })];
    expect(chooseImages(releases, 2)).toEqual({ kept: ['a', 'b'], giveUp: [], keepAgain: ['a'] });
  });

  test('never gives up what serves, and leaves at most the number', () => {
    const some = fc.record({ reference: fc.constantFrom('a', 'b', 'c', 'd', 'e'), hasBeenLive: fc.boolean(), isCollected: fc.boolean() });
    fc.assert(fc.property(fc.array(some, { minLength: 1, maxLength: 12 }), fc.nat(11), fc.integer({ min: 1, max: 4 }), (drafts, at, keep) => {
      const current = at % drafts.length;
      const releases = drafts.map(({ reference, hasBeenLive, isCollected }, index) => {
        const isCurrent = index === current;
        return release(drafts.length - index, reference, { isCurrent, hasBeenLive, collectedAt: isCollected && !isCurrent ? 'once' : undefined });
      });
      const { kept, giveUp } = chooseImages(releases, keep);
      expect(kept).toContain(releases[current]?.reference);
      expect(giveUp.filter((reference) => kept.includes(reference))).toEqual([]);
      expect(kept.length).toBeLessThanOrEqual(keep + 1);
      // What is left after giving up is exactly what is kept: a second run changes nothing.
      const after = releases.map((one) => (giveUp.includes(one.reference) ? { ...one, collectedAt: 'now' } : one));
      expect(chooseImages(after, keep).giveUp).toEqual([]);
    }));
  });
});

describe('the cap over all images', () => {
  const image = (reference: string, usedAt: string, layers: Record<string, number>, isCurrent = false): KeptImage => ({
    app: 'hello', reference, usedAt, isCurrent, layers: Object.entries(layers).map(([key, bytes]) => ({ key, bytes })),
  });
  const images = [image('new', '3', { base: 100, c: 5 }, true), image('middle', '2', { base: 100, b: 5 }), image('old', '1', { base: 100, a: 5 })];

  test('counts a shared layer once', () => {
    expect(weighLayers(images)).toBe(115);
    expect(chooseOverCap(images, 115)).toEqual([]);
  });

  test('takes what was used longest ago first, and never what serves', () => {
    expect(chooseOverCap(images, 110).map(({ reference }) => reference)).toEqual(['old']);
    expect(chooseOverCap(images, 0).map(({ reference }) => reference)).toEqual(['old', 'middle']);
  });
});

describe('layersOf', () => {
  const step = (CreatedBy: string, Size: number, Created = 1) => ({ CreatedBy, Size, Created });

  test('tells layers by their digests, so that the same base is the same layer whenever it was made', () => {
    const one = layersOf([step('import', 100), step('WORKDIR /app', 0), step('COPY . .', 5), step('CMD ["x"]', 0)], ['b', 'w', 'one']);
    const other = layersOf([step('import', 100, 2), step('WORKDIR /app', 0, 2), step('COPY . .', 5, 2), step('CMD ["x"]', 0, 2)], ['b', 'w', 'other']);
    expect(one.map(({ bytes }) => bytes)).toEqual([100, 5]);
    expect(one[0]).toEqual(other[0]);
    expect(one[1]?.key).not.toBe(other[1]?.key);
  });

  test('goes by the history where the digests do not tell which step they belong to', () => {
    const history = [step('import', 100), step('an unknown step', 0), step('COPY . .', 5)];
    expect(layersOf(history, ['b', 'c']).map(({ bytes }) => bytes)).toEqual([100, 5]);
  });
});

test('build caches: those of apps that are gone, then what was built longest ago', () => {
  const cache = (app: string, usedAt: string) => ({ name: app, app, bytes: 10, usedAt });
  const caches = [cache('new', '3'), cache('old', '1'), cache('gone', ''), cache('middle', '2')];
  expect(chooseCaches(caches, 20).map(({ app }) => app)).toEqual(['gone', 'old']);
  expect(chooseCaches(caches, 0).map(({ app }) => app)).toEqual(['gone']);
});
