/** Data directories of earlier versions, and migrations that end in the middle. */
import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { emptyAppFile } from '../../src/app-file.ts';
import { defaultSettings } from '../../src/domain.ts';
import { getConfig } from '../../src/store/app-config.ts';
import { findApp, findApps } from '../../src/store/apps.ts';
import { findAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { findDeployments } from '../../src/store/deployments.ts';
import { findKeys } from '../../src/store/keys.ts';
import { migrate, readMigrations, schemaOf } from '../../src/store/migrate.ts';
import { createRelease, findCurrentRelease, findReleases } from '../../src/store/releases.ts';
import { openStore } from '../../src/store/store.ts';
import { findTokens } from '../../src/store/tokens.ts';
import { openTestStore, silentLog, temporaryDirectory } from './open-test-store.ts';

const all = readMigrations();
const directory = resolve(import.meta.dirname, '../../src/store/migrations');

/** As the first release encrypted: format byte, iv, tag, AES-256-GCM bound to the place. */
function encrypted(key: Buffer, text: string, place: readonly string[]): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(JSON.stringify(place)));
  const body = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([Buffer.of(1), iv, cipher.getAuthTag(), body]);
}

/** What the first release wrote: one app with everything that could be set, one that was never deployed. */
function dataOfFirstRelease(): string {
  const data = temporaryDirectory();
  const key = randomBytes(32);
  writeFileSync(join(data, 'secrets.key'), key, { mode: 0o600 });
  const db = new Sqlite(join(data, 'forge.db'));
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT');
  for (const { number, name, sql } of all.slice(0, 3)) {
    db.exec(sql);
    db.prepare('INSERT INTO migrations VALUES (?, ?, ?)').run(number, name, '2026-11-01T00:00:00.000Z');
  }
  db.prepare('INSERT INTO facts VALUES (?, ?)').run('secrets_key_check', createHmac('sha256', key).update('forge secrets.key').digest('hex'));
  const limits = { memoryBytes: 536870912, cpuShares: 1024, pids: 512 };
  const formation = JSON.stringify({ web: { quantity: 2, limits } });
  const settings = JSON.stringify({ port: 8080, buildArgs: ['NPM_TOKEN'], readiness: { path: '/health', timeoutMs: 90_000 }, drainTimeoutMs: 45_000 });
  db.prepare('INSERT INTO apps (name, created_at, settings, formation, last_version) VALUES (?, ?, ?, ?, 2)').run('shop', '2026-11-01T10:00:00.000Z', settings, formation);
  db.prepare('INSERT INTO apps (name, created_at, is_stopped) VALUES (?, ?, 1)').run('fresh', '2026-11-02T10:00:00.000Z');
  db.prepare('INSERT INTO config VALUES (?, ?, ?)').run('shop', 'DATABASE_URL', encrypted(key, 'postgres://söme', ['config', 'shop', 'DATABASE_URL']));
  const image = JSON.stringify({ reference: `sha256:${'a'.repeat(64)}`, digest: `sha256:${'b'.repeat(64)}`, builder: 'dockerfile', processTypes: { web: { command: ['node', 'server.js'] } }, exposedPorts: [8080], user: '' });
  const insert = db.prepare('INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  insert.run('shop', 1, image, encrypted(key, '[]', ['release', 'shop', '1']), formation, 5000, '{"path":null,"timeoutMs":60000}', 'Deploy 1111111', 'ada', '2026-11-01T10:01:00.000Z', '1'.repeat(40));
  insert.run('shop', 2, image, encrypted(key, '[["DATABASE_URL","postgres://söme"]]', ['release', 'shop', '2']), formation, 8080, '{"path":"/health","timeoutMs":90000}', 'Set DATABASE_URL', 'ada', '2026-11-01T10:02:00.000Z', null);
  db.prepare(`UPDATE apps SET current_version = 2 WHERE name = 'shop'`).run();
  db.prepare('INSERT INTO deployments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run('0000000000000001', 'shop', 'failed', 'ada', '{"kind":"git","branch":"main","commit":"1"}', 'Deploy 1', 'no', null, '2026-11-01T10:00:30.000Z', '2026-11-01T10:00:30.000Z', '2026-11-01T10:00:31.000Z');
  db.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)').run('laptop', 'ssh-ed25519', 'AAAA', 'SHA256:x', '{"isAdmin":true,"permission":"manage","apps":"all"}', '2026-11-01T09:00:00.000Z');
  db.prepare('INSERT INTO tokens VALUES (?, ?, ?, ?, ?)').run('ci', Buffer.alloc(32, 7), '{"isAdmin":false,"permission":"deploy","apps":["shop"]}', '2026-11-01T09:00:00.000Z', null);
  db.prepare('INSERT INTO audit (at, actor, via, action, app, details) VALUES (?, ?, ?, ?, ?, ?)').run('2026-11-01T10:00:00.000Z', 'ada', 'key', 'config:set', 'shop', '{"keys":["DATABASE_URL"]}');
  db.prepare('INSERT INTO network_slots VALUES (0, ?, NULL)').run('shop');
  db.close();
  return data;
}

describe('a data directory of the first release', () => {
  test('is read whole after the upgrade', () => {
    const store = openTestStore(dataOfFirstRelease());
    expect(findApps(store).map(({ name, isStopped, currentVersion, lock }) => ({ name, isStopped, currentVersion, lock }))).toEqual([
      { name: 'fresh', isStopped: true, currentVersion: undefined, lock: undefined },
      { name: 'shop', isStopped: false, currentVersion: 2, lock: undefined },
    ]);
    const http = { kind: 'startup', probe: { kind: 'http', path: '/health' }, initialDelayMs: 0, timeoutMs: 5000, attempts: 1, waitMs: 90_000 };
    expect(findApp(store, 'shop')?.settings).toEqual({ ...defaultSettings, port: 8080, buildArgs: ['NPM_TOKEN'], drainTimeoutMs: 45_000, checks: { web: [http] } });
    expect(findApp(store, 'fresh')?.settings).toEqual(defaultSettings);
    expect({ ...getConfig(store, 'shop') }).toEqual({ DATABASE_URL: 'postgres://söme' });
    const [newest, first] = findReleases(store, 'shop');
    expect(newest).toMatchObject({ version: 2, port: 8080, settings: { checks: { web: [http] } }, appFile: emptyAppFile, reason: 'Set DATABASE_URL', commit: undefined });
    expect({ ...newest?.config }).toEqual({ DATABASE_URL: 'postgres://söme' });
    expect(first).toMatchObject({ version: 1, port: 5000, commit: '1'.repeat(40), settings: { checks: { web: [{ probe: { kind: 'tcp' }, waitMs: 60_000 }] } } });
    expect(findCurrentRelease(store, 'shop')?.version).toBe(2);
    expect(findDeployments(store, { app: 'shop' })).toMatchObject([{ status: 'failed', failure: 'no' }]);
    expect(findKeys(store)).toMatchObject([{ name: 'laptop', grant: { isAdmin: true } }]);
    expect(findTokens(store)).toMatchObject([{ name: 'ci', grant: { apps: ['shop'] } }]);
    expect(findAudit(store)).toMatchObject([{ action: 'config:set', app: 'shop' }]);
    expect(createRelease(store, { ...(newest as NonNullable<typeof newest>) }).version).toBe(3);
  });

  test('leaves a copy to go back with, of the two newest upgrades', () => {
    const data = dataOfFirstRelease();
    const later = [...all, { number: 9001, name: 'later', sql: 'CREATE TABLE later (x);' }, { number: 9002, name: 'last', sql: 'CREATE TABLE last (x);' }];
    openTestStore(data);
    const path = join(data, 'forge.db');
    const copies = () => readdirSync(data).filter((name) => name.includes('.before-'));
    expect(copies()).toEqual(['forge.db.before-0004']);
    expect(statSync(join(data, 'forge.db.before-0004')).mode & 0o777).toBe(0o600);
    const old = openDatabase(join(data, 'forge.db.before-0004'));
    expect(schemaOf(old)).toBe(3);
    expect(old.get("SELECT readiness FROM releases WHERE version = 2")).toEqual({ readiness: '{"path":"/health","timeoutMs":90000}' });
    old.close();
    const db = openDatabase(path);
    migrate(db, { migrations: later.slice(0, -1), path });
    migrate(db, { migrations: later, path });
    migrate(db, { migrations: later, path });
    db.close();
    expect(copies()).toEqual(['forge.db.before-9001', 'forge.db.before-9002']);
  });

  test('makes no copy of a new data directory', () => {
    const data = temporaryDirectory();
    openTestStore(data);
    expect(readdirSync(data).filter((name) => name.includes('.before-'))).toEqual([]);
  });
});

/** A migration whose script runs for seconds, and one after it. */
function slowMigrations(): string {
  const folder = join(temporaryDirectory(), 'migrations');
  mkdirSync(folder);
  for (const file of readdirSync(directory).slice(0, 3)) cpSync(join(directory, file), join(folder, file));
  const rows = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) INSERT INTO slow SELECT i, hex(randomblob(50)) FROM n;';
  writeFileSync(join(folder, '0004_slow.sql'), `CREATE TABLE slow (i INTEGER PRIMARY KEY, text TEXT); ALTER TABLE apps ADD COLUMN slow TEXT; ${rows}`);
  writeFileSync(join(folder, '0005_next.sql'), 'CREATE TABLE next (x);');
  return folder;
}

describe('a migration that is interrupted', () => {
  const program = (data: string, folder: string) => `
    import { openDatabase } from ${JSON.stringify(resolve(import.meta.dirname, '../../src/store/database.ts'))};
    import { migrate, readMigrations } from ${JSON.stringify(resolve(import.meta.dirname, '../../src/store/migrate.ts'))};
    const path = ${JSON.stringify(join(data, 'forge.db'))};
    const db = openDatabase(path);
    process.stdout.write('begin');
    migrate(db, { migrations: readMigrations(${JSON.stringify(folder)}), path });
    process.stdout.write('end');
  `;

  test.each([0, 30, 90, 200, 400])('by kill -9 after %i ms is as if it had not begun, or is done, and goes on', async (afterMs) => {
    const data = dataOfFirstRelease();
    const folder = slowMigrations();
    const child = execa(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program(data, folder)], { reject: false, buffer: false });
    await once(child.stdout, 'data');
    await setTimeout(afterMs);
    child.kill('SIGKILL');
    await child;
    const db = openDatabase(join(data, 'forge.db'));
    const found = schemaOf(db);
    const rows = found < 4 ? undefined : db.get('SELECT count(*) AS rows FROM slow');
    expect([[3, undefined], [4, 400_000], [5, 400_000]]).toContainEqual([found, rows?.['rows']]);
    expect(db.all("SELECT name FROM pragma_table_info('apps') WHERE name = 'slow'").length).toBe(found < 4 ? 0 : 1);
    migrate(db, { migrations: readMigrations(folder), path: join(data, 'forge.db') });
    expect(schemaOf(db)).toBe(5);
    expect(db.get('SELECT count(*) AS rows FROM slow')).toEqual({ rows: 400_000 });
    expect(db.get('SELECT name, current_version FROM apps WHERE name = ?', 'shop')).toEqual({ name: 'shop', current_version: 2 });
    db.close();
    expect(readdirSync(data).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  test('by a full disk leaves the schema before it, says so, and goes on when there is space', () => {
    const data = dataOfFirstRelease();
    const folder = slowMigrations();
    const db = openDatabase(join(data, 'forge.db'));
    const pages = Number(db.get('PRAGMA page_count')?.['page_count']);
    db.get(`PRAGMA max_page_count = ${pages + 20}`);
    const migrations = readMigrations(folder);
    expect(() => migrate(db, { migrations })).toThrow(expect.objectContaining({ code: 'exhausted', message: 'the disk is full: the database stays at schema 3' }));
    expect(db.get("SELECT 1 FROM sqlite_schema WHERE name = 'slow'")).toBeUndefined();
    db.get('PRAGMA max_page_count = 1073741823');
    migrate(db, { migrations });
    expect(schemaOf(db)).toBe(5);
    db.close();
  });
});

test('a data directory whose restore was interrupted is not started', () => {
  const data = temporaryDirectory();
  writeFileSync(join(data, 'restore-unfinished'), '');
  expect(() => openStore({ data, log: silentLog })).toThrow(expect.objectContaining({ code: 'conflict', message: expect.stringContaining('was interrupted') }));
  expect(existsSync(join(data, 'forge.db'))).toBe(false);
});
