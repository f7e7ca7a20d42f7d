/** Forward-only migrations: `migrations/NNNN_name.sql`, each run once, in a transaction that also records it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ForgeError } from '../errors.ts';
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

/** Brings the schema up to date. Throws `conflict` when the database was written by a newer forge, without changing it. */
export function migrate(db: Database, migrations: readonly Migration[] = readMigrations()): void {
  db.script('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT');
  refuseNewer(db, migrations);
  for (const migration of migrations) {
    db.transaction(() => {
      // Asked inside the transaction: another process may have migrated in between.
      if (db.get('SELECT 1 FROM migrations WHERE number = ?', migration.number)) return;
      db.script(migration.sql);
      db.run('INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)', migration.number, migration.name, new Date().toISOString());
    });
  }
}

function refuseNewer(db: Database, migrations: readonly Migration[]): void {
  const found = Number(db.get('SELECT max(number) AS number FROM migrations')?.['number'] ?? 0);
  const known = migrations.at(-1)?.number ?? 0;
  if (found <= known) return;
  throw new ForgeError('conflict', `data directory of a newer version: its schema is ${found}, this forge knows ${known}`, {
    hint: 'install that version of forge again, or use another data directory',
  });
}
