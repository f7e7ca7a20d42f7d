import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { chmodSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createApp, findApp, findApps } from '../../src/store/apps.ts';
import { getConfig, setConfig } from '../../src/store/app-config.ts';
import { openDatabase } from '../../src/store/database.ts';
import { createRelease } from '../../src/store/releases.ts';
import { inTransaction, openStore } from '../../src/store/store.ts';
import { openTestStore, silentLog, temporaryDirectory } from './open-test-store.ts';
import { sampleRelease } from './sample-release.ts';

test('a data directory, its database and its key are closed to everybody else from the first moment', () => {
  const data = join(temporaryDirectory(), 'data');
  const store = openTestStore(data);
  createApp(store, { name: 'hello' });
  expect(statSync(data).mode & 0o777).toBe(0o700);
  const modes = readdirSync(data).map((file) => [file, (statSync(join(data, file)).mode & 0o777).toString(8)]);
  expect(Object.fromEntries(modes)).toEqual({ 'forge.db': '600', 'forge.db-shm': '600', 'forge.db-wal': '600', 'secrets.key': '600' });
});

test('an existing directory that was open to everybody is closed', () => {
  const data = temporaryDirectory();
  chmodSync(data, 0o755);
  openTestStore(data);
  expect(statSync(data).mode & 0o777).toBe(0o750);
});

test('what was stored is there after the store is opened again, with the same key', () => {
  const data = temporaryDirectory();
  const first = openStore({ data, log: silentLog });
  createApp(first, { name: 'hello' });
  setConfig(first, 'hello', { A: 'one' });
  first.close();
  const key = readFileSync(join(data, 'secrets.key'));
  const again = openTestStore(data);
  expect(getConfig(again, 'hello')).toEqual({ A: 'one' });
  expect(readFileSync(join(data, 'secrets.key'))).toEqual(key);
});

function dataWithConfig(): string {
  const data = temporaryDirectory();
  const store = openStore({ data, log: silentLog });
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { A: 'one' });
  store.close();
  return data;
}

test('a missing key is refused while anything is encrypted, and no new one is made', () => {
  const data = dataWithConfig();
  rmSync(join(data, 'secrets.key'));
  expect(() => openStore({ data, log: silentLog })).toThrow(/secrets\.key is missing/);
  expect(existsSync(join(data, 'secrets.key'))).toBe(false);
});

test('another key is refused', () => {
  const data = dataWithConfig();
  const other = dataWithConfig();
  copyFileSync(join(other, 'secrets.key'), join(data, 'secrets.key'));
  expect(() => openStore({ data, log: silentLog })).toThrow(/is not the key this database was written with/);
});

test('a truncated key is refused', () => {
  const data = dataWithConfig();
  writeFileSync(join(data, 'secrets.key'), 'short');
  expect(() => openStore({ data, log: silentLog })).toThrow(/is damaged \(5 bytes, expected 32\)/);
});

test('a release alone needs the key, even with an empty config', () => {
  const data = temporaryDirectory();
  const store = openStore({ data, log: silentLog });
  createApp(store, { name: 'hello' });
  createRelease(store, sampleRelease('hello'));
  store.close();
  rmSync(join(data, 'secrets.key'));
  expect(() => openStore({ data, log: silentLog })).toThrow(/secrets\.key is missing/);
});

test('a lost key is replaced while nothing is encrypted', () => {
  const data = temporaryDirectory();
  openStore({ data, log: silentLog }).close();
  rmSync(join(data, 'secrets.key'));
  const store = openTestStore(data);
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { A: 'one' });
  expect(getConfig(store, 'hello')).toEqual({ A: 'one' });
});

test('a file that is no database is named', () => {
  const data = temporaryDirectory();
  writeFileSync(join(data, 'forge.db'), 'this is no database, it is a letter to my aunt, and quite long');
  expect(() => openStore({ data, log: silentLog })).toThrow(/forge\.db cannot be opened as forge's database/);
});

test('a transaction is all or nothing, also inside another one', () => {
  const store = openTestStore();
  const failing = () =>
    inTransaction(store, () => {
      createApp(store, { name: 'first' });
      inTransaction(store, () => createApp(store, { name: 'second' }));
      throw new Error('stop');
    });
  expect(failing).toThrow('stop');
  expect(findApps(store)).toEqual([]);
});

test('processes that write at the same time wait for each other and lose nothing', async () => {
  const data = temporaryDirectory();
  openStore({ data, log: silentLog }).close();
  const program = `
    const { workerData } = require('node:worker_threads');
    (async () => {
      const { openDatabase } = await import(workerData.module);
      const db = openDatabase(workerData.path);
      for (let n = 0; n < 40; n++) {
        db.transaction(() => {
          const value = Number(db.get("SELECT value FROM facts WHERE key = 'n'")?.value ?? 0) + 1;
          db.run("INSERT INTO facts (key, value) VALUES ('n', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", String(value));
        });
      }
      db.close();
    })();`;
  const workerData = { module: new URL('../../src/store/database.ts', import.meta.url).href, path: join(data, 'forge.db') };
  const workers = [1, 2, 3].map(() => new Worker(program, { eval: true, workerData }));
  await Promise.all(workers.map((worker) => new Promise((done, failed) => worker.once('exit', done).once('error', failed))));
  const db = openDatabase(join(data, 'forge.db'));
  expect(db.get("SELECT value FROM facts WHERE key = 'n'")).toEqual({ value: '120' });
  db.close();
});

test('two stores opened on a new directory agree on the schema and the key', () => {
  const data = temporaryDirectory();
  const one = openTestStore(data);
  const other = openTestStore(data);
  createApp(one, { name: 'hello' });
  setConfig(one, 'hello', { A: 'one' });
  expect(findApp(other, 'hello')?.name).toBe('hello');
  expect(getConfig(other, 'hello')).toEqual({ A: 'one' });
});
