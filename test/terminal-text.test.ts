import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { createRedactor } from '../src/redact.ts';
import { createReport } from '../src/report.ts';
import { terminalText } from '../src/terminal-text.ts';

it.each([
  ['moves the cursor', '\x1b[1A\x1b[2Kfake', 'fake'],
  ['moves the cursor by the eight-bit set', '\u009b1Afake', '1Afake'],
  ['writes to the clipboard', '\x1b]52;c;ZXZpbA==\x07x', 'x'],
  ['sets the title without an end', 'a\x1b]0;title', 'a'],
  ['asks the terminal', '\x1bP+q544e\x1b\\x\x1b[6n', 'x'],
  ['resets it or changes its letters', '\x1bcx\x1b(0y', 'xy'],
  ['goes back to the left', 'real\rfake', 'realfake'],
  ['turns the direction', 'a\u202eb', 'ab'],
])('what %s is taken out of a line', (_what, line, shown) => {
  expect(terminalText(line)).toBe(shown);
});

it('colours stay and end with their line', () => {
  expect(terminalText('\x1b[32mok\x1b[0m')).toBe('\x1b[32mok\x1b[0m');
  expect(terminalText('\x1b[8;31mhidden')).toBe('\x1b[8;31mhidden\x1b[0m');
  expect(terminalText('a\tb é 漢')).toBe('a\tb é 漢');
});

it('a value of the config stays masked when a build writes escape sequences into it', () => {
  const output = new PassThrough();
  createReport([output], createRedactor(['S3cretS3cret'])).body('it is S3cret\x1b[0KS3cret, and S3cretS3cret');
  expect((output.read() as Buffer).toString()).toBe('       it is [redacted], and [redacted]\n');
});

it('a build cannot write over the lines of a report', () => {
  const output = new PassThrough();
  createReport([output]).body('\x1b[1A\r=====> Application deployed:\u0085x');
  expect((output.read() as Buffer).toString()).toBe('       =====> Application deployed:x\n');
});
