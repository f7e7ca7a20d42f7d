import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { watchBuildMemory } from '../../../src/build/builders/build-memory.ts';
import type { BuildGroup } from '../../../src/build/builders/engine-builder.ts';

async function makeGroup({ rss = 0, tasks = 1, procs = '' }: { rss?: number; tasks?: number; procs?: string }): Promise<BuildGroup> {
  const path = join(await mkdtemp(join(tmpdir(), 'forge-group-')), 'group');
  await mkdir(path);
  await writeFile(join(path, 'memory.stat'), `total_rss ${rss}\ntotal_shmem 0\n`);
  await writeFile(join(path, 'tasks'), '1\n'.repeat(tasks));
  await writeFile(join(path, 'cgroup.procs'), procs);
  return { path, version: 1 };
}

const watch = (groups: readonly BuildGroup[], running: readonly string[]) =>
  watchBuildMemory({ groups: async () => groups, limitBytes: 1000, running: () => running, signal: new AbortController().signal });
/** Found in the command line of this very process. */
const ours = { procs: `${process.pid}\n` };
const own = process.argv[0] ?? '';

it('a step that starts processes without end is ended', async () => {
  using memory = watch([await makeGroup({ tasks: 5000 })], ['fork bomb']);
  await once(memory.signal, 'abort');
  expect(memory.signal.reason).toMatchObject({ code: 'exhausted', message: expect.stringContaining('more processes than the limit of 4096') as string });
});

it('a step that hides its name beside another is ended all the same', async () => {
  using memory = watch([await makeGroup(ours), await makeGroup({ rss: 5000 })], [own, 'exec hidden']);
  await once(memory.signal, 'abort');
  expect((memory.signal.reason as Error).message).toContain('the build step "exec hidden" used more memory');
});

it('a build whose steps are all accounted for does not end for a stranger’s', async () => {
  using memory = watch([await makeGroup(ours), await makeGroup({ rss: 5000 })], [own]);
  using another = watch([await makeGroup({ rss: 5000 })], ['x']);
  await once(another.signal, 'abort');
  await expect.poll(() => another.signal.aborted && !memory.signal.aborted).toBe(true);
});
