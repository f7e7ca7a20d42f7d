import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isForgeError } from '../../src/errors.ts';
import { parseCommand } from '../../src/ssh/parse-command.ts';

const single = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
const double = (word: string): string => `"${word.replaceAll(/["\\$`]/g, '\\$&')}"`;
const escaped = (word: string): string => (word === '' || word.includes('\n') ? single(word) : word.replaceAll(/[^a-z]/gu, '\\$&'));

const word = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
const quoted = fc.tuple(word, fc.constantFrom(single, double, escaped));

test('words come back as they were, whichever way they were quoted', () => {
  fc.assert(
    fc.property(fc.array(quoted), fc.constantFrom(' ', '\t', '  ', '\n'), (parts, blank) => {
      const line = parts.map(([text, quote]) => quote(text)).join(blank);
      expect(parseCommand(line)).toEqual(parts.map(([text]) => text));
    }),
  );
});

test('it splits as /bin/sh does, and both refuse the same quotes', () => {
  const fragment = fc.string({ unit: fc.constantFrom('a', 'b', ' ', "'", '"', '\\'), maxLength: 12 }).filter((line) => !/\\$/.test(line));
  fc.assert(
    fc.property(fragment, (line) => {
      const shell = spawnSync('/bin/sh', ['-c', `for word in ${line}\ndo printf '%s\\0' "$word"; done`], { encoding: 'utf8' });
      if (shell.status === 0) expect(parseCommand(line)).toEqual(shell.stdout.split('\0').slice(0, -1));
      else expect(() => parseCommand(line)).toThrow();
    }),
    { numRuns: 150 },
  );
});

test('it never throws anything but an error that a person understands', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (line) => {
      try {
        for (const part of parseCommand(line)) expect(part).not.toContain('\0');
      } catch (error) {
        expect(isForgeError(error) && error.code).toBe('invalid');
      }
    }),
  );
});

test('what a shell would act on is plain text', () => {
  expect(parseCommand('apps:info $HOME;rm -rf * | x > y `id` "$(id)" \'$x\' #a ~')).toEqual([
    ...['apps:info', '$HOME;rm', '-rf', '*', '|', 'x', '>', 'y', '`id`', '$(id)', '$x', '#a', '~'],
  ]);
});

test('git’s own command lines are understood', () => {
  expect(parseCommand("git-receive-pack '/hello.git'")).toEqual(['git-receive-pack', '/hello.git']);
  expect(parseCommand(`git-upload-pack '/it'\\''s'`)).toEqual(['git-upload-pack', "/it's"]);
});

test.each([
  ["config:set a='b", /' that is never closed/],
  ['config:set a="b', /" that is never closed/],
  ['a\\', /ends in a backslash/],
  ['a\0b', /NUL/],
  ['x'.repeat(200_000), /too long/],
])('a broken line is refused: %j', (line, message) => {
  expect(() => parseCommand(line)).toThrow(message);
});
