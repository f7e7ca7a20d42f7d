import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nearestName } from '../../src/operations/nearest-name.ts';
import { findOperation } from '../../src/operations/operations.ts';
import { parseArguments } from '../../src/operations/parse-arguments.ts';

const parse = (name: string, ...words: string[]) => parseArguments(findOperation(name), words).input;

describe('a command line', () => {
  test('keeps every word as it is: no numbers, no expansion, no unquoting', () => {
    expect(parse('branch:set', 'hello', '1e3')).toEqual({ app: 'hello', branch: '1e3' });
    expect(parse('branch:set', 'hello', '0x10')).toEqual({ app: 'hello', branch: '0x10' });
    expect({ ...(parse('config:set', 'hello', 'A="$HOME"', "B='x'", 'C=--flag', 'D=')['values'] as object) }).toEqual({ A: '"$HOME"', B: "'x'", C: '--flag', D: '' });
  });

  test('takes flags anywhere, with their value behind or attached', () => {
    const wanted = { app: 'hello', lines: 5, follow: true, process: ['web', 'worker.1'] };
    expect(parse('logs', 'hello', '-n', '5', '-f', '-p', 'web', '-p', 'worker.1')).toEqual(wanted);
    expect(parse('logs', '-n5', '-fp', 'web', 'hello', '--process=worker.1')).toEqual(wanted);
    expect(parse('logs', '--lines=5', '--follow', '-pweb', '-p', 'worker.1', '-a', 'hello')).toEqual(wanted);
  });

  test('reads no flags after --', () => {
    expect(parse('config:get', 'hello', '--', '--weird')).toEqual({ app: 'hello', key: '--weird' });
    expect(parse('run', 'hello', '--', '-x', '--')).toEqual({ app: 'hello', command: ['-x', '--'] });
  });

  test('leaves another program’s command alone', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }).filter(([first = '']) => !first.startsWith('-')), (command) => {
        expect(parse('run', '-e', 'A=1', 'hello', ...command)['command']).toEqual(command);
        expect(parse('run', '--app', 'hello', ...command)['command']).toEqual(command);
      }),
    );
  });

  test.each([
    [['logs', 'hello', '-n'], /-n needs a value: -n N/],
    [['logs', 'hello', '-n', '-5'], /expected a whole number, found "-5"/],
    [['logs', 'hello', '--follow=yes'], /--follow takes no value/],
    [['logs', 'hello', '-x'], /has no flag "-x"/],
    [['logs', 'hello', '--json=1'], /--json takes no value/],
  ])('%j is refused', ([name = '', ...words], message) => {
    expect(() => parse(name, ...words)).toThrow(message);
  });
});

test('the nearest name is one that somebody could have meant', () => {
  const names = ['apps:list', 'apps:logs', 'config:set', 'ps'];
  expect(nearestName('aps:list', names)).toBe('apps:list');
  expect(nearestName('config:ste', names)).toBe('config:set');
  expect(nearestName('sp', names)).toBe('ps');
  expect(nearestName('kubernetes', names)).toBeUndefined();
  expect(nearestName('x'.repeat(10_000), names)).toBeUndefined();
});
