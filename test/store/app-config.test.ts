import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createApp } from '../../src/store/apps.ts';
import { getConfig, setConfig } from '../../src/store/app-config.ts';
import { openTestStore } from './open-test-store.ts';

const envKey = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/);
const value = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string({ minLength: 60_000, maxLength: 66_000, size: 'max' }));

test('any values come back byte for byte', () => {
  const store = openTestStore();
  let count = 0;
  fc.assert(
    fc.property(fc.dictionary(envKey, value, { maxKeys: 5 }), (config) => {
      const name = `app${count++}`;
      createApp(store, { name });
      setConfig(store, name, config);
      expect({ ...getConfig(store, name) }).toEqual({ ...config });
    }),
    { numRuns: 40 },
  );
});

test('setting one variable leaves the others, null removes one', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { B: '2', A: '1', C: '' });
  setConfig(store, 'hello', { A: 'one', B: null, NEVER_SET: null });
  expect(Object.entries(getConfig(store, 'hello'))).toEqual([['A', 'one'], ['C', '']]);
});

test('one bad key among several changes nothing', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  expect(() => setConfig(store, 'hello', { GOOD: '1', 'B AD': '2' })).toThrow(/"B AD" is not a valid config key/);
  expect(getConfig(store, 'hello')).toEqual({});
});

test('config of an app that is not there is refused', () => {
  expect(() => setConfig(openTestStore(), 'ghost', { A: '1' })).toThrow(/there is no app "ghost"/);
});

test('nothing on the disk holds a value in the clear', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { SECRET: 'canary-5d1c' });
  const rows = store.db.all('SELECT value FROM config');
  expect(rows.some((row) => (row['value'] as Buffer).includes('canary'))).toBe(false);
});

test.each([
  ['another key of the same app', 'hello', 'OTHER'],
  ['the same key of another app', 'second', 'SECRET'],
])('a value moved to %s is refused', (_where, app, key) => {
  const store = openTestStore();
  for (const name of ['hello', 'second']) {
    createApp(store, { name });
    setConfig(store, name, { SECRET: `of ${name}`, OTHER: 'x' });
  }
  store.db.run(`UPDATE config SET value = (SELECT value FROM config WHERE app = 'hello' AND key = 'SECRET') WHERE app = ? AND key = ?`, app, key);
  expect(() => getConfig(store, app)).toThrow(/is damaged or was moved there/);
});

test('a value with one bit changed is refused', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { SECRET: 'value' });
  const stored = Buffer.from(store.db.get('SELECT value FROM config')?.['value'] as Buffer);
  stored[stored.length - 1] = (stored.at(-1) ?? 0) ^ 1;
  store.db.run('UPDATE config SET value = ?', stored);
  expect(() => getConfig(store, 'hello')).toThrow(/is damaged/);
});

test('a variable may be called __proto__', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', JSON.parse('{"__proto__":"x"}') as Record<string, string>);
  expect(Object.entries(getConfig(store, 'hello'))).toEqual([['__proto__', 'x']]);
});
