import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { clone } from '../../src/apps/clone.ts';
import type { AppParts } from '../../src/apps/parts.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { createRepositories } from '../../src/git/repositories.ts';
import { operator } from '../../src/operations/actors.ts';
import { createReport } from '../../src/report.ts';
import { createApp } from '../../src/store/apps.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';

it('a clone has the code of its app, whatever was left under its name', async () => {
  const store = openTestStore();
  const repositories = createRepositories({ directory: temporaryDirectory(), hooksPath: '/none', nodePath: process.execPath, log: silentLog });
  createApp(store, { name: 'hello' });
  await execa('git', ['-C', await repositories.ensure('hello'), 'symbolic-ref', 'HEAD', 'refs/heads/trunk']);
  writeFileSync(join(await repositories.ensure('second'), 'left'), '');
  const parts = { store, repositories, queue: createQueue(), settle: async () => undefined, live: { swap: async () => undefined }, runtime: {}, log: silentLog } as unknown as AppParts;
  const request = { from: 'hello', to: 'second', actor: operator, report: createReport([]), output: process.stdout, signal: new AbortController().signal, isStarted: false };
  expect(await clone(request, parts)).toEqual({ release: undefined, volumes: [] });
  expect(await repositories.headBranch('second')).toBe('trunk');
});
