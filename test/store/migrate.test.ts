import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import type { Database } from '../../src/store/database.ts';
import { migrate, readMigrations } from '../../src/store/migrate.ts';
import { openStore } from '../../src/store/store.ts';
import { silentLog, temporaryDirectory } from './open-test-store.ts';

const all = readMigrations();

const schemaOf = (db: Database): unknown => db.all("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name");
const open = (): Database => openDatabase(join(temporaryDirectory(), 'forge.db'));

describe('migrations', () => {
  test('are numbered without gaps', () => {
    expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => index + 1));
  });

  test.each(all.map((_, index) => index))('lead from schema %i to the newest', (count) => {
    const fresh = open();
    migrate(fresh, { migrations: all });
    const earlier = open();
    migrate(earlier, { migrations: all.slice(0, count) });
    migrate(earlier, { migrations: all });
    expect(schemaOf(earlier)).toEqual(schemaOf(fresh));
    expect(earlier.all('SELECT number, name FROM migrations ORDER BY number')).toEqual(all.map(({ number, name }) => ({ number, name })));
  });

  test('run once', () => {
    const db = open();
    migrate(db, { migrations: all });
    const before = db.all('SELECT * FROM migrations');
    migrate(db, { migrations: all });
    expect(db.all('SELECT * FROM migrations')).toEqual(before);
  });

  test('that fail leave the schema before them and are not recorded', () => {
    const db = open();
    const broken = { number: 2, name: 'broken', sql: 'CREATE TABLE b (x); CREATE TABLE a (x);' };
    const fine = { number: 1, name: 'fine', sql: 'CREATE TABLE a (x);' };
    expect(() => migrate(db, { migrations: [fine, broken] })).toThrow(/already exists/);
    expect(db.all('SELECT name FROM migrations')).toEqual([{ name: 'fine' }]);
    expect(db.get("SELECT 1 FROM sqlite_schema WHERE name = 'b'")).toBeUndefined();
  });

  test('are read from a directory by name, other files ignored', () => {
    const directory = join(temporaryDirectory(), 'migrations');
    mkdirSync(directory);
    writeFileSync(join(directory, '0002_two.sql'), 'SELECT 2;');
    writeFileSync(join(directory, '0001_one.sql'), 'SELECT 1;');
    writeFileSync(join(directory, 'notes.txt'), '');
    expect(readMigrations(directory).map(({ number, name }) => [number, name])).toEqual([[1, 'one'], [2, 'two']]);
  });
});

test('a data directory of a newer version is refused and left as it is', () => {
  const data = temporaryDirectory();
  openStore({ data, log: silentLog }).close();
  const db = openDatabase(join(data, 'forge.db'));
  db.run("INSERT INTO migrations (number, name, applied_at) VALUES (99, 'future', '')");
  db.close();
  expect(() => openStore({ data, log: silentLog })).toThrow(expect.objectContaining({ code: 'conflict', message: expect.stringMatching(/newer version: its schema is 99/) }));
});
