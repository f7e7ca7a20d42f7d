import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEnvFile } from '../../src/operations/env-file.ts';

const key = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/);

test('the forms that .env files have', () => {
  const text = [
    '# a comment', '', 'PLAIN=value', '  SPACED =  around  ', 'export EXPORTED=yes', 'COMMENTED=value # not this', 'HASH=a#b', 'EMPTY=', 'EQUALS=a=b=c',
    "SINGLE='as $it \\n is'", 'DOUBLE="two\\nlines \\"quoted\\" $HOME \\\\"', 'MULTI="first', 'second"  # after', "PEM='-----", "-----'", 'URL=postgres://u:p@h/d?x=1', 'LAST=1',
  ].join('\n');
  expect({ ...parseEnvFile(text) }).toEqual({
    PLAIN: 'value', SPACED: 'around', EXPORTED: 'yes', COMMENTED: 'value', HASH: 'a#b', EMPTY: '', EQUALS: 'a=b=c', SINGLE: 'as $it \\n is',
    DOUBLE: 'two\nlines "quoted" $HOME \\', MULTI: 'first\nsecond', PEM: '-----\n-----', URL: 'postgres://u:p@h/d?x=1', LAST: '1',
  });
});

test('lines may end as on Windows', () => {
  expect({ ...parseEnvFile('A=1\r\nB="x"\r\n') }).toEqual({ A: '1', B: 'x' });
});

test('a quoted value holds anything', () => {
  fc.assert(
    fc.property(fc.dictionary(key, fc.string({ unit: 'grapheme' }), { maxKeys: 5 }), (config) => {
      const values = Object.fromEntries(Object.entries(config).map(([name, text]) => [name, text.replaceAll('\r', '')]));
      const file = Object.entries(values).map(([name, text]) => `${name}="${text.replaceAll(/["\\]/g, '\\$&')}"`).join('\n');
      expect({ ...parseEnvFile(file) }).toEqual(values);
    }),
  );
});

test('JSON takes text, numbers and booleans', () => {
  expect({ ...parseEnvFile(' {"A": "x", "B": 1, "C": true}') }).toEqual({ A: 'x', B: '1', C: 'true' });
});

test.each([
  ['A=1\nnonsense', /line 2: expected KEY=VALUE/],
  ['A=1\n\n1B=2', /line 3: "1B" is not a valid config key/],
  ['A="x\ny', /line 1: a " is never closed/],
  ["A='x' y", /line 1: something follows the closing quote/],
  ['A="x\ny"\nB!=1', /line 3/],
  ['{"A": null}', /A: expected text/],
])('%j is refused with its line', (text, message) => {
  expect(() => parseEnvFile(text)).toThrow(message);
});
