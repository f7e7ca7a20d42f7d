import { expect, test } from 'vitest';
import { allocateSubnetIndex, releaseSubnetIndex } from '../../src/store/network-slots.ts';
import { openTestStore } from './open-test-store.ts';

test('each app has the lowest slot that nobody has or had lately, and keeps it', () => {
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = openTestStore(undefined, clock);
  expect(['a', 'b', 'c', 'a'].map((app) => allocateSubnetIndex(store, app))).toEqual([0, 1, 2, 0]);
  releaseSubnetIndex(store, 'b');
  expect(allocateSubnetIndex(store, 'd')).toBe(3);
  clock.now = new Date('2026-11-21T11:00:01Z');
  expect(allocateSubnetIndex(store, 'e')).toBe(1);
});

test('a full pool reuses the longest rested slot, and says so when there is none', () => {
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = openTestStore(undefined, clock);
  for (const app of ['a', 'b']) allocateSubnetIndex(store, app, { slots: 2 });
  expect(() => allocateSubnetIndex(store, 'c', { slots: 2 })).toThrow(expect.objectContaining({ code: 'exhausted' }));
  releaseSubnetIndex(store, 'b');
  clock.now = new Date('2026-11-21T10:00:05Z');
  releaseSubnetIndex(store, 'a');
  expect(allocateSubnetIndex(store, 'c', { slots: 2 })).toBe(1);
});

test('a slot that clashes with the host is left out, and an app on it moves', () => {
  const store = openTestStore();
  expect(allocateSubnetIndex(store, 'a', { isUsable: (slot) => slot !== 0 })).toBe(1);
  expect(allocateSubnetIndex(store, 'a', { isUsable: (slot) => slot > 1 })).toBe(2);
});
