import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pack as tarPack } from 'tar-stream';
import { expect, it } from 'vitest';
import { createVolumes } from '../../src/apps/volumes.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { ForgeError } from '../../src/errors.ts';
import { createReport } from '../../src/report.ts';
import type { VolumeStore } from '../../src/runtime/volume-store.ts';
import { createApp } from '../../src/store/apps.ts';
import { createVolume, dropVolume, getVolume } from '../../src/store/volumes.ts';
import { operator } from '../../src/operations/actors.ts';
import { openTestStore, silentLog } from '../store/open-test-store.ts';

function tar(...names: readonly string[]): Readable {
  const pack = tarPack();
  for (const name of names) pack.entry({ name }, 'kept');
  pack.finalize();
  return Readable.from(pack);
}

/** One volume to restore, another that is to be removed, and an engine whose removals and writes wait for the test. */
function openStage(engineOptions: Partial<VolumeStore> = {}) {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  createVolume(store, { app: 'hello', name: 'data', dataId: 'd' });
  createVolume(store, { app: 'hello', name: 'away', dataId: 'd' });
  dropVolume(store, 'hello', 'away');
  const removed: string[] = [];
  const [written, begun, removing] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const engine: VolumeStore = {
    dataId: 'd',
    create: async () => undefined,
    remove: async (name) => {
      if (name === 'forge-d-hello-away') await removing.promise;
      removed.push(name);
    },
    read: async (_name, _signal, use) => await use(tar()),
    write: async (_name, archive) => {
      await buffer(archive);
      begun.resolve();
      await written.promise;
    },
    ...engineOptions,
  };
  const volumes = createVolumes({ store, queue: createQueue(), volumes: engine, config: { minFreeBytes: 0, volumeMaxBytes: 1024 ** 4 }, diskDirectories: [], settle: async () => undefined, log: silentLog });
  const request = { app: 'hello', name: 'data', actor: operator, report: createReport([]), signal: new AbortController().signal };
  return { store, volumes, removed, written, begun, removing, request };
}

it('what a backup is being restored to is not swept away, neither while it fills nor by a sweep that began before it was there', async () => {
  const { store, volumes, removed, written, begun, removing, request } = openStage();
  const restoring = volumes.restore({ ...request, archive: tar('file'), isForced: false });
  await begun.promise;
  const sweeping = volumes.sweep();
  written.resolve();
  // The restore sweeps too when it has ended, and waits for the same removal.
  await expect.poll(() => getVolume(store, 'hello', 'data').engineName).not.toBe('forge-d-hello-data');
  removing.resolve();
  await Promise.all([restoring, sweeping]);
  const { engineName } = getVolume(store, 'hello', 'data');
  expect(removed).toContain('forge-d-hello-data');
  expect(removed).not.toContain(engineName);
});

it('a volume that the engine has not made yet is restored as an empty one is', async () => {
  const { store, volumes, request, written, removing } = openStage({ read: async () => await Promise.reject(new ForgeError('not-found', 'the Docker Engine has no volume')) });
  written.resolve();
  removing.resolve();
  expect(await volumes.restore({ ...request, archive: tar('file'), isForced: false })).toMatchObject({ entries: 1 });
  expect(getVolume(store, 'hello', 'data')).toMatchObject({ isFilled: true });
});
