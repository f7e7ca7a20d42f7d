import { expect, it } from 'vitest';
import { formationOf } from '../../src/deploy/formation.ts';
import type { App } from '../../src/domain.ts';

const limits = { memoryBytes: 1, cpuShares: 2, pids: 3 };
const command = { entrypoint: undefined, command: undefined };

it('takes a process type for nothing but its name', () => {
  const app = { formation: { web: { quantity: 2, limits } } } as unknown as App;
  expect(formationOf(app, { web: command, constructor: command }, limits)).toEqual({ web: { quantity: 2, limits }, constructor: { quantity: 0, limits } });
});
