import { chownSync, createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { writeEntries } from '../../src/backup/backup-writer.ts';
import { checkBackup, restoreBackup, type Restored } from '../../src/backup/restore-backup.ts';
import { writeBackup, type BackupSummary } from '../../src/backup/write-backup.ts';
import { connectDocker } from '../../src/docker/connect.ts';
import { getConfig } from '../../src/store/app-config.ts';
import { createApp, findApps } from '../../src/store/apps.ts';
import { openTestStore, temporaryDirectory } from '../store/open-test-store.ts';
import { forgeWithoutApps, type ForgeWithoutApps } from './forge-without-apps.ts';

const signal = new AbortController().signal;
const noEngine = connectDocker('/nonexistent/docker.sock');

async function backUp({ parts, store }: ForgeWithoutApps, file: string, hasLogs = false): Promise<BackupSummary> {
  const output = createWriteStream(file);
  const summary = await writeBackup({ ...parts, store }, { output, hasLogs, onStep: () => undefined, signal });
  output.end();
  await finished(output);
  return summary;
}

const restore = async (file: string, data: string, isReplacing = false): Promise<Restored> =>
  await restoreBackup({ file, data, isReplacing, keepsVolumes: false, onStep: () => undefined, signal }, noEngine);

const visible = (folder: string): string[] => readdirSync(folder).filter((name) => !name.startsWith('forge.db-')).sort();

describe('a restore', () => {
  it('makes the data directory that was backed up, without what a new machine makes itself', async () => {
    const forge = await forgeWithoutApps();
    const file = join(temporaryDirectory(), 'file');
    expect(await backUp(forge, file)).toMatchObject({ apps: 1, images: 0, volumes: 0, missing: [] });
    expect(readdirSync(join(forge.data, 'tmp'))).toEqual([]);
    const data = join(temporaryDirectory(), 'new', 'data');
    const { head, contents, setAside } = await restore(file, data);
    expect(head).toMatchObject({ domain: 'example.com', forge: '1.2.3', createdAt: '2026-11-21T10:00:00.000Z' });
    expect(contents.apps).toEqual(['shop']);
    expect(setAside).toBeUndefined();
    expect(visible(data)).toEqual(['deployments', 'forge.db', 'forge.toml', 'id', 'repos', 'secrets.key', 'ssh']);
    expect([data, join(data, 'ssh')].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700]);
    expect(['forge.db', 'secrets.key', 'ssh/host_ed25519'].map((path) => statSync(join(data, path)).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
    expect((await execa('git', ['-C', join(data, 'repos/shop.git'), 'rev-parse', '--is-bare-repository'])).stdout).toBe('true');
    expect({ ...getConfig(openTestStore(data), 'shop') }).toEqual({ GREETING: 'hello' });
  });

  it('has no earlier backups in it, wherever they were kept before', async () => {
    const forge = await forgeWithoutApps();
    mkdirSync(join(forge.data, 'kept'));
    for (const name of ['forge-20261121T090000Z.tar.zst', 'forge-20261121T090000Z.tar.zst.part', 'notes']) writeFileSync(join(forge.data, 'kept', name), 'x');
    const file = join(temporaryDirectory(), 'file');
    await backUp({ ...forge, parts: { ...forge.parts, backupDir: '/mnt/elsewhere' } }, file);
    const data = join(temporaryDirectory(), 'data');
    await restore(file, data);
    expect(visible(data)).not.toContain('backups');
    expect(readdirSync(join(data, 'kept'))).toEqual(['notes']);
  });

  it('brings what apps have printed, when that was asked for', async () => {
    const forge = await forgeWithoutApps();
    const file = join(temporaryDirectory(), 'file');
    await backUp(forge, file, true);
    const data = join(temporaryDirectory(), 'data');
    await restore(file, data);
    expect(readFileSync(join(data, 'logs/shop/1'), 'utf8')).toBe('logs/shop/1');
  });

  it('refuses a directory that holds a forge; told to replace it, it sets that one aside', async () => {
    const forge = await forgeWithoutApps();
    const file = join(temporaryDirectory(), 'file');
    await backUp(forge, file);
    createApp(forge.store, { name: 'later' });
    forge.store.close();
    await expect(restore(file, forge.data)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('holds a forge already') });
    expect(readFileSync(join(forge.data, 'backups/left'), 'utf8')).toBe('backups/left');
    const { setAside } = await restore(file, forge.data, true);
    expect(findApps(openTestStore(forge.data)).map(({ name }) => name)).toEqual(['shop']);
    expect(findApps(openTestStore(setAside as string)).map(({ name }) => name)).toEqual(['later', 'shop']);
    expect(existsSync(join(forge.data, 'backups/left'))).toBe(true);
  });

  it('leaves a directory as it was when the file is damaged, of a newer forge, or needs an engine that does not answer', async () => {
    const forge = await forgeWithoutApps();
    const [place, file] = [temporaryDirectory(), join(temporaryDirectory(), 'file')];
    await backUp(forge, file);
    const cut = join(place, 'cut');
    writeFileSync(cut, readFileSync(file).subarray(0, 2000));
    forge.store.db.run(`INSERT INTO migrations (number, name, applied_at) VALUES (9999, 'future', '')`);
    const newer = join(place, 'newer');
    await backUp(forge, newer);
    forge.store.db.run('DELETE FROM migrations WHERE number = 9999');
    forge.store.db.run(`INSERT INTO volumes (app, name, engine_name, created_at) VALUES ('shop', 'data', 'forge-x-shop-data', '')`);
    const engineNeeded = join(place, 'engine');
    await backUp(forge, engineNeeded);
    const data = join(place, 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'note'), 'kept');
    for (const [path, code] of [[cut, 'invalid'], [newer, 'conflict'], [engineNeeded, 'unavailable']] as const) {
      await expect(restore(path, data)).rejects.toMatchObject({ code });
      expect(readdirSync(data)).toEqual(['note']);
      await expect(restore(path, join(place, 'none'))).rejects.toMatchObject({ code });
      expect(existsSync(join(place, 'none'))).toBe(false);
    }
    await expect(checkBackup(newer, signal)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('its schema is 9999') });
    await expect(checkBackup(engineNeeded, signal)).resolves.toMatchObject({ contents: { volumes: [{ app: 'shop', name: 'data' }] } });
  });

  it.runIf(process.getuid?.() === 0)('by root gives everything to the owner of the data directory', async () => {
    const forge = await forgeWithoutApps();
    const file = join(temporaryDirectory(), 'file');
    await backUp(forge, file);
    const data = join(temporaryDirectory(), 'data');
    mkdirSync(data, { mode: 0o700 });
    chownSync(data, 4242, 4243);
    await restore(file, data);
    const owners = new Set(readdirSync(data, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(data, name))).map(({ uid, gid }) => `${uid}:${gid}`));
    expect([...owners]).toEqual(['4242:4243']);
  });

  it.each([
    ['no id', { 'data/forge.db': 'database' }, 'data/id is not in it'],
    ['no database', { 'data/id': 'abcdefabcdef' }, 'data/forge.db is not in it'],
    ['an id that leads elsewhere', { 'data/id': '../../x', 'data/forge.db': 'database' }, 'data/id is "../../x"'],
    ['an empty database', { 'data/id': 'abcdefabcdef', 'data/forge.db': '' }, 'is not the database of a forge'],
    ['a database that is none', { 'data/id': 'abcdefabcdef', 'data/forge.db': 'hello '.repeat(1000) }, 'data/forge.db is no database'],
  ])('refuses a file that somebody made with %s, and writes nothing', async (_what, files, why) => {
    const database = join(temporaryDirectory(), 'forge.db');
    openTestStore().db.copyTo(database);
    const [place, file] = [temporaryDirectory(), join(temporaryDirectory(), 'file')];
    const output = createWriteStream(file);
    await writeEntries(output, signal, async (writer) => {
      const add = async (name: string, text: Buffer) => await writer.file(name, text, text.length);
      await add('forge-backup.json', Buffer.from(JSON.stringify({ format: 1, forge: '1', schema: 1, domain: 'x', createdAt: 'x' })));
      for (const [name, text] of Object.entries(files)) await add(name, text === 'database' ? readFileSync(database) : Buffer.from(text));
      const { 'forge-backup.json': _, ...entries } = writer.entries;
      await add('contents.json', Buffer.from(JSON.stringify({ apps: [], images: [], volumes: [], missing: [], entries })));
    });
    output.end();
    await finished(output);
    await expect(restore(file, join(place, 'data'))).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(why) });
    expect(readdirSync(place)).toEqual([]);
  });
});
