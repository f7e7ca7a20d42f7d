import { Readable } from 'node:stream';
import { pack as tarPack } from 'tar-stream';
import { afterAll, expect, test } from 'vitest';
import { testRuntime } from './support.ts';

const forge = testRuntime([]);
const engineName = `forge-${forge.dataId}-links`;
afterAll(async () => await forge.runtime.volumes.remove(engineName));

test('a volume whose symlinks lead upwards can be restored: they are the app’s own', async () => {
  const pack = tarPack();
  pack.entry({ name: 'volume/current', type: 'symlink', linkname: '../../releases/1' });
  pack.finalize();
  const signal = AbortSignal.timeout(60_000);
  await forge.runtime.volumes.create(engineName);
  await forge.runtime.volumes.write(engineName, Readable.from(pack), signal);
  let tar = '';
  await forge.runtime.volumes.read(engineName, signal, async (read) => {
    for await (const chunk of read) tar += String(chunk);
  });
  expect(tar).toContain('../../releases/1');
  expect(tar).toMatch(/^\.\//);
});
