import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isForgeError } from '../../src/errors.ts';
import { parseProcfile } from '../../src/build/procfile.ts';

test('A Procfile gives commands by process type in its order, and keeps release apart', () => {
  const { processes, release } = parseProcfile('\ufeff# the app\r\nweb: node server.js --port $PORT\r\n\r\nworker:  node worker.js \r\nrelease: node migrate.js');
  expect([...processes]).toEqual([['web', 'node server.js --port $PORT'], ['worker', 'node worker.js']]);
  expect(release).toBe('node migrate.js');
});

test('An empty Procfile has nothing in it', () => {
  expect(parseProcfile('')).toEqual({ processes: new Map(), release: undefined });
});

test.each([
  ['web: a\nweb: b', 'Procfile, line 2: the process type web is there twice, first in line 1'],
  ['web: a\n<<<<<<< HEAD\nworker: b', 'Procfile, line 2: a merge conflict is not resolved'],
  ['web: a\n=======\n', 'Procfile, line 2: a merge conflict is not resolved'],
  ['# x\nnode server.js', 'Procfile, line 2: expected "type: command", such as "web: node server.js"'],
  ['web:', 'Procfile, line 1: the process type web has no command'],
  ['Web: a', 'Procfile, line 1: "Web" is not a valid process type: expected 1 to 30 of a-z, 0-9 and -'],
  ['run: a', 'Procfile, line 1: "run" is not a valid process type: expected another name: forge itself calls its one-off commands and tasks so'],
  ['postdeploy: a', 'another name: forge itself calls its one-off commands and tasks so'],
  ['../x: a', 'Procfile, line 1: "../x" is not a valid process type: expected 1 to 30 of a-z, 0-9 and -'],
])('The Procfile %j is refused with its line', (text, message) => {
  expect(() => parseProcfile(text)).toThrow(message);
});

test('Any text is either a Procfile or refused as invalid', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('w', 'e', 'b', ':', ' ', '\n', '\r', '#', '<', '$', '/') }), (text) => {
      try {
        for (const [type, command] of parseProcfile(text).processes) expect(type.length * command.length).toBeGreaterThan(0);
      } catch (error) {
        expect(isForgeError(error) && error.code).toBe('invalid');
      }
    }),
  );
});
