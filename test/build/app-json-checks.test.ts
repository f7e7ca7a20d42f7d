import { expect, test } from 'vitest';
import { appJsonChecks } from '../../src/build/app-json-checks.ts';
import { parseAppJson } from '../../src/build/app-json.ts';

const checksOf = (entries: unknown) => appJsonChecks(parseAppJson(JSON.stringify({ healthchecks: { web: entries } })).appJson.healthchecks)['web'];

test('A check says what is asked, in seconds, with what Dokku takes where it says nothing', () => {
  expect(checksOf([{ type: 'startup', name: 'up', path: '/health', content: 'ok', port: 3000, initialDelay: 1.5, timeout: 2, wait: 10, attempts: 6, httpHeaders: [{ name: 'X-Check', value: 'yes' }] }])).toEqual([
    { kind: 'startup', name: 'up', probe: { kind: 'http', path: '/health', status: undefined, content: 'ok', headers: { 'x-check': 'yes' } }, port: 3000, initialDelayMs: 1500, timeoutMs: 2000, waitMs: 10_000, attempts: 6 },
  ]);
  expect(checksOf([{}])).toEqual([
    { kind: 'startup', name: undefined, probe: { kind: 'http', path: '/', status: undefined, content: undefined, headers: undefined }, port: undefined, initialDelayMs: 0, timeoutMs: 5000, waitMs: 5000, attempts: 3 },
  ]);
});

test('Commands, uptime and listening are checks of their own', () => {
  expect(checksOf([{ command: ['pg_isready', '-q'], type: 'liveness' }, { uptime: 10, type: 'readiness' }, { listening: true }, { listening: false, status: 204 }])?.map(({ kind, probe }) => [kind, probe])).toEqual([
    ['liveness', { kind: 'command', argv: ['pg_isready', '-q'] }],
    ['readiness', { kind: 'uptime', uptimeMs: 10_000 }],
    ['startup', { kind: 'tcp' }],
    ['startup', { kind: 'http', path: '/', status: 204, content: undefined, headers: undefined }],
  ]);
});

test('What forge cannot do is told: an error where the check would mean something else, else a warning', () => {
  expect(() => checksOf([{ path: '/', command: ['true'] }])).toThrow('healthchecks.web.0: expected one of path, command, uptime, listening, not path and command together');
  expect(() => checksOf([{ scheme: 'https' }])).toThrow('healthchecks.web.0.scheme: expected "http", found "https"');
  expect(() => checksOf([{ type: 'liveness', uptime: 3 }])).toThrow('uptime says nothing about liveness');
  expect(() => checksOf([{ path: 'up' }])).toThrow('healthchecks.web.0.path: expected a path that begins with /, found "up"');
  expect(() => checksOf([{ command: 'true' }])).toThrow('healthchecks.web.0.command: expected array, found "true"');
  expect(() => checksOf([{ httpHeaders: [{ name: 'X', value: 'a\r\nHost: b' }] }])).toThrow('expected one line of text');
  expect(parseAppJson('{"healthchecks":{"web":[{"path":"/","onFailure":{"command":["x"]},"warn":true}]}}').warnings).toEqual([
    'app.json: healthchecks.web.0.onFailure is not a key that forge knows',
    'app.json: healthchecks.web.0.warn is not a key that forge knows',
  ]);
});
