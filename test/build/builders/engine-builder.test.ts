import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { chooseEngineBuilder } from '../../../src/build/builders/engine-builder.ts';
import { temporaryDirectory } from '../../store/open-test-store.ts';

const step = 'oks9aswfw1fo0z67jyd9wzk5x';
const container = 'ab'.repeat(32);

/** Folders below a control group file system of this version. */
function groupsWith(version: 1 | 2, ...folders: readonly string[]): string {
  const root = temporaryDirectory();
  mkdirSync(join(root, 'memory'));
  writeFileSync(version === 1 ? join(root, 'memory', 'release_agent') : join(root, 'cgroup.controllers'), '');
  for (const folder of folders) mkdirSync(join(root, version === 1 ? 'memory' : '', folder), { recursive: true });
  return root;
}

it.each([
  ['cgroup v1', 1, `docker/buildkit/${step}`],
  ['cgroup v2, the engine’s own driver', 2, `docker/buildkit/${step}`],
  ['cgroup v2, systemd’s driver', 2, `system.slice/docker-${step}.scope`],
  // As an engine of 20.10 on Debian 12 has them.
  ['cgroup v2, systemd’s driver and no scope', 2, `system.slice/system.slice:docker:${step}`],
] as const)('steps of builds are found on %s', async (_where, version, folder) => {
  const root = groupsWith(version, folder, `docker/${container}`, `system.slice/docker-${container}.scope`, 'system.slice/docker.service');
  const { name, groups } = chooseEngineBuilder(root);
  expect(name).toBe('buildkit');
  expect(await groups()).toEqual([{ path: join(root, version === 1 ? 'memory' : '', folder), version }]);
});

it('where the host’s groups cannot be seen, the classic builder is taken', () => {
  expect(chooseEngineBuilder(temporaryDirectory()).name).toBe('classic');
});
