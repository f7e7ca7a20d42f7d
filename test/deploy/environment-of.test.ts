import { expect, test } from 'vitest';
import type { EnvEntry } from '../../src/app-file.ts';
import { environmentOf } from '../../src/deploy/environment-of.ts';

const entry = (more: Partial<EnvEntry> = {}): EnvEntry => ({ value: undefined, isRequired: true, isGenerated: false, description: undefined, ...more });
const of = (env: Record<string, EnvEntry>, config: Record<string, string> = {}) => environmentOf(env, { app: 'hello', config });

test('A default is added where nothing is set, and only there', () => {
  expect(of({ A: entry({ value: 'one' }), B: entry({ value: 'two' }) }, { B: 'mine' })).toEqual({ added: { A: 'one' }, made: [] });
});

test('An empty value counts as set', () => {
  expect(of({ A: entry(), B: entry({ value: '' }) }, { A: '' }).added).toEqual({ B: '' });
});

test('A secret is 64 hex digits, another one each time, and not made again where it is set', () => {
  const secret = { S: entry({ isGenerated: true }) };
  const [first, second] = [of(secret), of(secret)];
  expect(first.added['S']).toMatch(/^[0-9a-f]{64}$/);
  expect(first.made).toEqual(['S']);
  expect(second.added['S']).not.toBe(first.added['S']);
  expect(of(secret, { S: 'mine' })).toEqual({ added: {}, made: [] });
});

test('Every missing variable is named, with what it is and the command', () => {
  const env = { A: entry(), B: entry({ isRequired: false }), C: entry({ description: 'key of the shop' }), constructor: entry() };
  expect(() => of(env, { A: 'x' })).toThrow(
    expect.objectContaining({
      code: 'invalid',
      message: 'app.json requires config that hello does not have: C, constructor',
      details: ['C: key of the shop'],
      hint: 'set it and push again: forge config:set hello C=… constructor=…',
    }) as Error,
  );
});
