import { expect, test } from 'vitest';
import { parseAppJson } from '../../src/build/app-json.ts';

test('app.json is read with comments, sizes become bytes, short variables their long form', () => {
  const { appJson, warnings } = parseAppJson(`{
    // what the app needs
    "name": "shop",
    "env": { "A": "1", "B": { "required": true, "generator": "secret" } },
    "formation": { "web": { "quantity": 2, "memory": "512M", "cpu": 0.5, "port": 3000 } },
    "healthchecks": { "web": [{ "path": "/up", "timeout": 5 }] },
    "cron": [{ "command": "node clean.js", "schedule": "0 4 * * *" }],
    "scripts": { "dokku": { "predeploy": "node x.js" } },
  }`);
  expect(warnings).toEqual([]);
  expect(appJson).toMatchObject({
    env: { A: { value: '1' }, B: { required: true, generator: 'secret' } },
    formation: { web: { quantity: 2, memory: 512 * 1024 * 1024, cpu: 0.5, port: 3000 } },
    healthchecks: { web: [{ type: 'startup', path: '/up', timeout: 5 }] },
  });
});

test('Unknown keys are warnings with their path, at any depth', () => {
  expect(parseAppJson('{"stack":"x","env":{"A":{"value":"1","zz":1}},"formation":{"web":{"size":"free"}}}').warnings.toSorted()).toEqual([
    'app.json: env.A.zz is not a key that forge knows',
    'app.json: formation.web.size is not a key that forge knows',
    'app.json: stack is not a key that forge knows',
  ]);
});

test.each([
  ['{"env":{"A":1}}', 'app.json: env.A: expected string or expected object, found 1'],
  ['{"env":{"9A":"1"}}', 'app.json: env.9A: expected letters, digits and _, not beginning with a digit, found "1"'],
  ['{"formation":{"web":{"memory":"lots"}}}', 'app.json: formation.web.memory: expected a size such as "512M", of at least 6M, found "lots"'],
  ['{"formation":{"We b":{}}}', 'app.json: formation.We b: expected a process type'],
  ['[]', 'app.json: the file: expected object, found []'],
  ['{\n"a": }', 'app.json, line 2: not valid JSON'],
])('%s is refused with path, expectation and what was found', (text, message) => {
  expect(() => parseAppJson(text)).toThrow(message);
});

test.each([
  ['{"__proto__":{"env":{"A":"1"}}}', 'app.json, line 1: "__proto__" cannot be a key'],
  ['{\n"env":{"__pr\\u006fto__":{"value":"x"}}}', 'app.json, line 2: "__proto__" cannot be a key'],
  ['{"formation":{"__proto__" /* */ :{"quantity":1}}}', 'app.json, line 1: "__proto__" cannot be a key'],
  ['{"healthchecks":{"__proto__":[]}}', 'app.json, line 1: "__proto__" cannot be a key'],
  ['['.repeat(900_000), 'app.json, line 1: nested deeper than 100 levels'],
  ['{"env":'.repeat(100_000), 'app.json, line 1: nested deeper than 100 levels'],
])('a key that would become a prototype, and what is nested without end, are refused: %.40s', (text, message) => {
  expect(() => parseAppJson(text)).toThrow(expect.objectContaining({ code: 'invalid', message }));
  expect(({} as Record<string, unknown>)['env']).toBeUndefined();
});

test('what objects inherit are names like any other', () => {
  const { appJson, warnings } = parseAppJson('{"env":{"constructor":"a","toString":"__proto__"},"formation":{"constructor":{"quantity":2,"valueOf":1}},"healthchecks":{"constructor":[{"path":"/up"}]},"hasOwnProperty":1}');
  expect(Object.entries(appJson.env)).toEqual([['constructor', { value: 'a' }], ['toString', { value: '__proto__' }]]);
  expect(appJson.formation).toEqual({ constructor: { quantity: 2 } });
  expect(appJson.healthchecks['constructor']).toMatchObject([{ path: '/up' }]);
  expect(warnings.toSorted()).toEqual(['app.json: formation.constructor.valueOf is not a key that forge knows', 'app.json: hasOwnProperty is not a key that forge knows']);
});
