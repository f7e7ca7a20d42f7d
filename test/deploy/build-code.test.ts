import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { afterEach, expect, it, vi } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createAttempts, type Attempt } from '../../src/deploy/attempt.ts';
import { buildCode, type Built } from '../../src/deploy/build-code.ts';
import type { DeployParts } from '../../src/deploy/parts.ts';
import { createSlots } from '../../src/deploy/slots.ts';
import type { Origin } from '../../src/domain.ts';
import { createFaults } from '../../src/faults.ts';
import { operator } from '../../src/operations/actors.ts';
import { createApp } from '../../src/store/apps.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

afterEach(() => vi.useRealTimers());

const origin: Origin = { kind: 'folder' };

/** A machine with one build slot, whose builds are over at once. */
function openWorkshop() {
  const [store, data] = [openTestStore(), temporaryDirectory()];
  mkdirSync(join(data, 'tmp'));
  const builds = createSlots(1);
  const build = async () => sampleRelease('hello').image;
  const config = loadConfig({ data, flags: {}, env: {} });
  const parts = { store, builds, config, builders: { static: { build } }, diskDirectories: [], faults: createFaults('') } as unknown as DeployParts;
  const attempts = createAttempts({ store, data, log: silentLog });
  const begin = (app: string, source: Readable): { readonly attempt: Attempt; readonly path: string; readonly building: Promise<Built> } => {
    createApp(store, { name: app });
    const attempt = attempts.open({ app, actor: operator, origin, reason: 'Deploy folder', output: new PassThrough().resume(), signal: new AbortController().signal });
    const building = buildCode({ app, origin, openSource: async () => source }, attempt, parts);
    building.catch(() => undefined);
    return { attempt, path: join(data, 'tmp', `${attempt.id}.tar`), building };
  };
  return { builds, begin };
}

function site(): Readable {
  const packer = pack();
  packer.entry({ name: 'index.html' }, 'hello');
  packer.finalize();
  return Readable.from(packer);
}

it('a source that does not come takes no build slot from others', async () => {
  const { begin } = openWorkshop();
  const silent = new PassThrough();
  const { attempt, building } = begin('silent', silent);
  expect(await begin('hello', site()).building).toMatchObject({ code: { image: sampleRelease('hello').image } });
  silent.destroy(new Error('gone'));
  await expect(building).rejects.toMatchObject({ code: 'invalid' });
  expect(attempt.signal.aborted).toBe(false);
});

it('a source that goes silent is given up after a minute, and leaves nothing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { begin } = openWorkshop();
  const source = new PassThrough();
  const { building, path } = begin('hello', source);
  source.write(Buffer.alloc(100, 'x'));
  await vi.waitFor(() => expect(existsSync(path)).toBe(true));
  await vi.advanceTimersByTimeAsync(61_000);
  await expect(building).rejects.toMatchObject({ code: 'timeout', message: 'nothing more of the source came for 60 s: nothing was built' });
  expect(source.destroyed).toBe(true);
  expect(existsSync(path)).toBe(false);
});
