import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createBackups, type Backups, type BackupsParts } from '../../src/backup/backups.ts';
import { checkBackup } from '../../src/backup/restore-backup.ts';
import { ForgeError } from '../../src/errors.ts';
import { backupOperations } from '../../src/operations/backups.ts';
import { createStyle } from '../../src/operations/style.ts';
import { beginBackup } from '../../src/store/backups.ts';
import type { Store } from '../../src/store/store.ts';
import { silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { forgeWithoutApps } from './forge-without-apps.ts';

const minute = 60_000;

beforeEach(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => vi.useRealTimers());

const unwatched: BackupsParts['watchSpace'] = (signal) => ({ signal, [Symbol.dispose]: () => undefined });

interface Scheduled {
  readonly backups: Backups;
  readonly directory: string;
  readonly store: Store;
  /** Moves the clock and lets forge look at it; resolves when nothing is under way. */
  pass(ms: number): Promise<void>;
  files(): string[];
}

async function scheduled(options: Partial<BackupsParts> = {}): Promise<Scheduled> {
  const { store, parts, clock, data } = await forgeWithoutApps();
  const directory = join(data, 'kept');
  const backups = createBackups({ ...parts, store, log: silentLog, schedule: '0 * * * *', keep: 2, backupDir: directory, watchSpace: unwatched, ...options });
  const keeping = backups.keepSchedule(new AbortController().signal);
  onTestFinished(async () => await keeping[Symbol.asyncDispose]());
  // It looks at the folder before it looks at the clock.
  await backups.list();
  const pass = async (ms: number): Promise<void> => {
    clock.now = new Date(clock.now.getTime() + ms);
    await vi.advanceTimersByTimeAsync(30_000);
    await vi.waitUntil(async () => (await backups.list()).backups.every(({ endedAt }) => endedAt !== undefined), { timeout: 10_000 });
  };
  const files = (): string[] => {
    try {
      return readdirSync(options.backupDir ?? directory);
    } catch {
      return [];
    }
  };
  return { backups, directory, store, pass, files };
}

describe('scheduled backups', () => {
  it('are made when they are due, and the newest stay', async () => {
    const { backups, directory, pass, files } = await scheduled();
    await pass(59 * minute);
    expect(files()).toEqual([]);
    await pass(1 * minute);
    expect(files()).toEqual(['forge-20261121T110000Z.tar.zst']);
    await pass(10 * minute);
    expect(files().length).toBe(1);
    for (let hour = 0; hour < 3; hour++) await pass(60 * minute);
    expect(files()).toEqual(['forge-20261121T131000Z.tar.zst', 'forge-20261121T141000Z.tar.zst']);
    const newest = join(directory, 'forge-20261121T141000Z.tar.zst');
    expect(statSync(newest).mode & 0o777).toBe(0o600);
    await expect(checkBackup(newest, new AbortController().signal)).resolves.toMatchObject({ contents: { apps: ['shop'] } });
    const { next, backups: records } = await backups.list();
    expect(next).toBe('2026-11-21T15:00:00.000Z');
    expect(records.map(({ actor, isThere, failure }) => ({ actor, isThere, failure }))).toEqual([true, true, false, false].map((isThere) => ({ actor: 'schedule', isThere, failure: undefined })));
  });

  it('that were missed for long are made up for, once', async () => {
    const { pass, files } = await scheduled();
    await pass(50 * 60 * minute);
    await pass(minute);
    expect(files()).toEqual(['forge-20261123T120000Z.tar.zst']);
  });

  it('that fail are listed with the reason, leave no file, and take none of the older away', async () => {
    let isFull = false;
    const { backups, directory, pass, files, store } = await scheduled({
      readVolume: async () => {
        if (isFull) throw new Error('ENOSPC: no space left on device');
      },
      keep: 1,
    });
    store.db.run(`INSERT INTO volumes (app, name, engine_name, created_at) VALUES ('shop', 'data', 'x', '')`);
    await pass(60 * minute);
    isFull = true;
    writeFileSync(join(directory, 'forge-20261121T110001Z.tar.zst.part'), 'of a forge that was killed');
    await pass(60 * minute);
    expect(files()).toEqual(['forge-20261121T110000Z.tar.zst']);
    expect((await backups.list()).backups[0]).toMatchObject({ failure: 'ENOSPC: no space left on device', isThere: false });
  });

  it('that a killed forge had under way are over at its next start, and leave no file', async () => {
    const { parts, store, data } = await forgeWithoutApps();
    const directory = join(data, 'kept');
    mkdirSync(directory);
    for (const name of ['forge-20261121T090000Z.tar.zst', 'forge-20261121T095900Z.tar.zst.part', 'somebody.part']) writeFileSync(join(directory, name), 'x');
    beginBackup(store, { file: 'forge-20261121T095900Z.tar.zst', actor: 'schedule' });
    beginBackup(store, { file: undefined, actor: 'ada' });
    const backups = createBackups({ ...parts, store, log: silentLog, schedule: '', keep: 2, backupDir: directory, watchSpace: unwatched });
    expect((await backups.list()).backups).toMatchObject([1, 2].map(() => ({ endedAt: '2026-11-21T10:00:00.000Z', failure: 'interrupted: forge was stopped meanwhile', isThere: false })));
    await backups.keepSchedule(new AbortController().signal)[Symbol.asyncDispose]();
    expect(readdirSync(directory).sort()).toEqual(['forge-20261121T090000Z.tar.zst', 'somebody.part']);
  });

  it('whose file cannot be made fail with the reason, and forge goes on', async () => {
    // Nobody makes files there, root neither.
    const { backups, pass } = await scheduled({ backupDir: '/proc' });
    for (const count of [1, 2]) {
      await pass(60 * minute);
      await vi.waitUntil(async () => (await backups.list()).backups.filter(({ endedAt }) => endedAt !== undefined).length === count, { timeout: 10_000 });
    }
    expect((await backups.list()).backups.map(({ failure }) => failure)).toEqual(['12', '11'].map((hour) => expect.stringContaining(`forge-20261121T${hour}0000Z.tar.zst.part`)));
  });

  it('end when the disk fills up, with the figures, and leave no file', async () => {
    const full = new AbortController();
    const { backups, store, pass, files } = await scheduled({
      readVolume: async (_name, { use }) =>
        await use(Readable.from((async function* () { for (;;) { yield randomBytes(9 * 1024 * 1024); full.abort(new ForgeError('exhausted', 'the disk is nearly full: the backup was ended')); await setImmediate(); } })())),
      watchSpace: (signal) => ({ signal: AbortSignal.any([signal, full.signal]), [Symbol.dispose]: () => undefined }),
    });
    store.db.run(`INSERT INTO volumes (app, name, engine_name, created_at) VALUES ('shop', 'data', 'x', '')`);
    await pass(60 * minute);
    expect((await backups.list()).backups[0]).toMatchObject({ failure: 'the disk is nearly full: the backup was ended' });
    expect(files()).toEqual([]);
  });

  it('of an unknown form are refused at the start', async () => {
    await expect(scheduled({ schedule: 'now and then' })).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('backups that are asked for', () => {
  it('are made one at a time, and recorded', async () => {
    const { backups } = await scheduled();
    const output = () => new Writable({ write: (_chunk, _encoding, done) => done() });
    const demand = { actor: 'ada', hasLogs: false, onStep: () => undefined, signal: new AbortController().signal };
    const first = backups.create({ ...demand, output: output() });
    await expect(backups.create({ ...demand, output: output() })).rejects.toMatchObject({ code: 'conflict', message: 'another backup is under way' });
    expect(await first).toMatchObject({ apps: 1 });
    expect((await backups.list()).backups).toMatchObject([{ actor: 'ada', file: undefined, isThere: false, failure: undefined, sizeBytes: expect.any(Number) }]);
  });

  it('are recorded with what is missing in them, and backup:list says so', async () => {
    const { backups, store } = await scheduled({ readVolume: async () => await Promise.reject(new ForgeError('not-found', 'the Docker Engine has no volume x')) });
    store.db.run(`INSERT INTO volumes (app, name, engine_name, created_at) VALUES ('shop', 'data', 'x', '')`);
    const output = new Writable({ write: (_chunk, _encoding, done) => done() });
    const missing = ['the volume data of shop: the Docker Engine has no volume x'];
    expect(await backups.create({ actor: 'ada', hasLogs: false, onStep: () => undefined, signal: new AbortController().signal, output })).toMatchObject({ missing });
    const listed = await backups.list();
    expect(listed.backups).toMatchObject([{ failure: undefined, missing }]);
    const list = backupOperations.find(({ name }) => name === 'backup:list');
    const text = list?.print(listed as never, { services: { store }, style: createStyle(false) } as never);
    expect(text).toMatch(/done, 1 missing\nNot in the newest backup: the volume data of shop: the Docker Engine has no volume x$/);
  });

  it('are made again after one whose record could not be kept', async () => {
    const { backups, store } = await scheduled();
    const demand = { actor: 'ada', hasLogs: false, onStep: () => undefined, signal: new AbortController().signal, output: new Writable({ write: (_chunk, _encoding, done) => done() }) };
    store.db.script('ALTER TABLE backups RENAME TO away');
    await expect(backups.create(demand)).rejects.toThrow('no such table');
    store.db.script('ALTER TABLE away RENAME TO backups');
    expect(await backups.create(demand)).toMatchObject({ apps: 1 });
  });
});

describe('a volume that the engine could not copy whole', () => {
  const demand = { actor: 'ada', hasLogs: false, onStep: () => undefined, signal: new AbortController().signal };
  const cutOff = new ForgeError('conflict', 'it was not copied whole');
  /** Whose first `failures` copies break off after some bytes. */
  const backUp = async (failures: number) => {
    let reads = 0;
    const { backups, store } = await scheduled({
      readVolume: async (_name, { use }) => {
        reads += 1;
        const isCutOff = reads <= failures;
        await use(Readable.from((async function* () { yield Buffer.alloc(9 * 1024 * 1024, reads); if (isCutOff) throw cutOff; })()));
      },
    });
    store.db.run(`INSERT INTO volumes (app, name, engine_name, created_at) VALUES ('shop', 'data', 'x', '')`);
    const file = join(temporaryDirectory(), 'file');
    const output = createWriteStream(file);
    const summary = await backups.create({ ...demand, output });
    output.end();
    await finished(output);
    return { summary, contents: (await checkBackup(file, demand.signal)).contents };
  };

  it('is copied again, and the copy that is whole is the one that counts', async () => {
    const { summary, contents } = await backUp(2);
    expect(summary).toMatchObject({ volumes: 1, missing: [] });
    expect(contents.volumes).toEqual([{ app: 'shop', name: 'data', engineName: 'x', folder: 'volumes/x.3' }]);
    expect((await backUp(0)).contents.volumes).toEqual([{ app: 'shop', name: 'data', engineName: 'x' }]);
  });

  it('is told to be missing after three times', async () => {
    const { summary, contents } = await backUp(3);
    expect(summary).toMatchObject({ volumes: 0, missing: ['the volume data of shop: it was not copied whole'] });
    expect(contents.volumes).toEqual([]);
  });
});
