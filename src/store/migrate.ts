/** Forward-only migrations: `migrations/NNNN_name.sql`, each run once, in a transaction that also records it. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ForgeError } from '../errors.ts';
import { isDiskFull } from './database.ts';
import type { Database } from './database.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/** The SQL is not compiled: the built program reads it from the source folder beside it. */
export const migrationsDirectory = [join(import.meta.dirname, 'migrations'), join(import.meta.dirname, '../../src/store/migrations')].find((path) =>
  existsSync(path),
);

/** All migrations of a directory in order. */
export function readMigrations(directory: string | undefined = migrationsDirectory): readonly Migration[] {
  if (directory === undefined) throw new Error('src/store/migrations is missing from this installation');
  const files = readdirSync(directory).filter((file) => /^\d{4}_[a-z0-9_]+\.sql$/.test(file)).sort();
  return files.map((file) => ({ number: Number(file.slice(0, 4)), name: file.slice(5, -4), sql: readFileSync(join(directory, file), 'utf8') }));
}

/** Copies of the database before a migration that stay. */
const copiesKept = 2;

export interface MigrateOptions {
  readonly migrations?: readonly Migration[];
  /** Path of the database: before its schema changes, a copy goes to `<path>.before-NNNN`, named after the first migration to come. */
  readonly path?: string;
}

/**
 * Brings the schema up to date, migration by migration: killed or failed, it goes on from there the next time. Throws
 * `conflict` when the database was written by a newer forge, without changing it, and `exhausted` when the disk is full.
 */
export function migrate(db: Database, { migrations = readMigrations(), path }: MigrateOptions = {}): void {
  try {
    db.script('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT');
    const found = schemaOf(db);
    refuseNewer(found, migrations);
    const next = migrations.find(({ number }) => number > found);
    if (path !== undefined && found > 0 && next) keepCopy(db, path, next.number);
    for (const migration of migrations) apply(db, migration);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new ForgeError('exhausted', `the disk is full: the database stays at schema ${schemaOf(db)}`, { hint: 'free space and start forge again; it goes on from there', cause: error });
  }
}

/** Number of the last migration that the database has seen, 0 for a new one. */
export const schemaOf = (db: Database): number => Number(db.get('SELECT max(number) AS number FROM migrations')?.['number'] ?? 0);

function apply(db: Database, { number, name, sql }: Migration): void {
  db.transaction(() => {
    // Asked inside the transaction: another process may have migrated in between.
    if (db.get('SELECT 1 FROM migrations WHERE number = ?', number)) return;
    db.script(sql);
    db.run('INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)', number, name, new Date().toISOString());
  });
}

/** What lets a person go back to the version of forge before; written aside and renamed, so that a copy is always whole. */
function keepCopy(db: Database, path: string, number: number): void {
  const copy = `${path}.before-${String(number).padStart(4, '0')}`;
  const aside = `${copy}.new`;
  rmSync(aside, { force: true });
  try {
    db.copyTo(aside);
    renameSync(aside, copy);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
  const prefix = `${basename(path)}.before-`;
  const copies = readdirSync(dirname(path)).filter((file) => file.startsWith(prefix) && /^\d{4}$/.test(file.slice(prefix.length))).sort();
  for (const old of copies.slice(0, -copiesKept)) rmSync(join(dirname(path), old), { force: true });
}

function refuseNewer(found: number, migrations: readonly Migration[]): void {
  const known = migrations.at(-1)?.number ?? 0;
  if (found <= known) return;
  throw new ForgeError('conflict', `data directory of a newer version: its schema is ${found}, this forge knows ${known}`, {
    hint: 'install that version of forge again, or use another data directory',
  });
}
