import { expect, test } from 'vitest';
import { parseAppJson } from '../../src/build/app-json.ts';
import { appFileOf } from '../../src/build/app-file-of.ts';

const fileOf = (value: unknown, release?: string) => appFileOf(parseAppJson(JSON.stringify(value)).appJson, release);

test('A variable is required unless it says otherwise, whether it has a value or not', () => {
  const { env } = fileOf({ env: { A: 'one', B: {}, C: { required: false }, D: { value: '', required: true }, E: { generator: 'secret' } } });
  expect({ ...env }).toEqual({
    A: { value: 'one', isRequired: true, isGenerated: false, description: undefined },
    B: { value: undefined, isRequired: true, isGenerated: false, description: undefined },
    C: { value: undefined, isRequired: false, isGenerated: false, description: undefined },
    D: { value: '', isRequired: true, isGenerated: false, description: undefined },
    E: { value: undefined, isRequired: true, isGenerated: true, description: undefined },
  });
});

test('A variable and a process type may be called what objects inherit', () => {
  const { env, formation } = appFileOf(parseAppJson('{"env":{"constructor":"b"},"formation":{"constructor":{"quantity":1}}}').appJson, undefined);
  expect(Object.keys(env)).toContain('constructor');
  expect(formation['toString']).toBeUndefined();
});

test('Sizes are bytes, and one cpu is 1024 shares', () => {
  expect({ ...fileOf({ formation: { web: { quantity: 2, memory: '1G', cpu: 0.5, port: 3000 }, worker: { cpu: 0.0001 } } }).formation }).toEqual({
    web: { quantity: 2, memoryBytes: 1024 ** 3, cpuShares: 512, port: 3000 },
    worker: { quantity: undefined, memoryBytes: undefined, cpuShares: 2, port: undefined },
  });
});

test('Tasks come from both files', () => {
  const { tasks } = fileOf({ scripts: { postdeploy: 'seed', dokku: { predeploy: 'pack', postdeploy: 'tell' } } }, 'migrate');
  expect(tasks).toEqual({ predeploy: 'pack', release: 'migrate', postdeploy: 'tell', firstPostdeploy: 'seed' });
  expect(fileOf({}).tasks).toEqual({ predeploy: undefined, release: undefined, postdeploy: undefined, firstPostdeploy: undefined });
});
