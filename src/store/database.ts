/** The one door to better-sqlite3: opens a database the way forge needs it and keeps prepared statements. */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { ForgeError } from '../errors.ts';

export type SqlValue = string | number | bigint | Uint8Array | null;

/** A row as SQLite returns it. */
export type Row = Readonly<Record<string, string | number | Buffer | null>>;

export interface Database {
  /** First row, or `undefined`. */
  get(sql: string, ...values: readonly SqlValue[]): Row | undefined;
  all(sql: string, ...values: readonly SqlValue[]): readonly Row[];
  /** Runs one statement and returns how many rows it changed. */
  run(sql: string, ...values: readonly SqlValue[]): number;
  /** Runs a script of several statements. */
  script(sql: string): void;
  /** All or nothing; takes the write lock at once. A transaction inside another one is a savepoint of it. */
  transaction<T>(task: () => T): T;
  /** Writes a copy of this moment to a new file (0600), on the disk when it returns; nothing else runs meanwhile. */
  copyTo(path: string): void;
  /** As `copyTo`, page by page beside everything that goes on, and not synced. What is written meanwhile is in the copy. */
  copyMeanwhile(path: string): Promise<void>;
  close(): void;
}

/**
 * Opens or creates the file (0600). A transaction that returned is on the disk (`synchronous = FULL`): what forge has
 * acknowledged survives a power cut. Throws `failed` when the file is no database.
 */
export function openDatabase(path: string): Database {
  // SQLite gives -wal and -shm the mode of the database; created by SQLite itself it would follow the umask.
  closeSync(openSync(path, 'a', 0o600));
  const sqlite = new Sqlite(path);
  try {
    for (const pragma of ['busy_timeout = 5000', 'journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON', 'trusted_schema = OFF']) {
      sqlite.pragma(pragma);
    }
  } catch (error) {
    sqlite.close();
    throw translate(path, error);
  }
  return wrap(sqlite);
}

/** Whether the error is SQLite refusing a row whose unique value is taken. */
export const isDuplicate = (error: unknown): boolean =>
  error instanceof Sqlite.SqliteError && (error.code === 'SQLITE_CONSTRAINT_UNIQUE' || error.code === 'SQLITE_CONSTRAINT_PRIMARYKEY');

/** Whether the error is SQLite refusing a row that names something that is not there. */
export const isDangling = (error: unknown): boolean => error instanceof Sqlite.SqliteError && error.code === 'SQLITE_CONSTRAINT_FOREIGNKEY';

/** Whether the error is SQLite having found the disk full. */
export const isDiskFull = (error: unknown): boolean => error instanceof Sqlite.SqliteError && (error.code === 'SQLITE_FULL' || error.code === 'SQLITE_IOERR_WRITE');

function wrap(sqlite: Sqlite.Database): Database {
  const statements = new Map<string, Sqlite.Statement>();
  const prepare = (sql: string): Sqlite.Statement => {
    let statement = statements.get(sql);
    if (!statement) statements.set(sql, (statement = sqlite.prepare(sql)));
    return statement;
  };
  return {
    get: (sql, ...values) => prepare(sql).get(...values) as Row | undefined,
    all: (sql, ...values) => prepare(sql).all(...values) as Row[],
    run: (sql, ...values) => prepare(sql).run(...values).changes,
    script: (sql) => void sqlite.exec(sql),
    transaction: (task) => sqlite.transaction(task).immediate(),
    copyTo: (path) => copyTo(sqlite, path),
    copyMeanwhile: async (path) => {
      closeSync(openSync(path, 'wx', 0o600));
      await sqlite.backup(path);
    },
    close: () => void sqlite.close(),
  };
}

function copyTo(sqlite: Sqlite.Database, path: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    // SQLite writes into a file that is there as long as it is empty.
    sqlite.prepare('VACUUM INTO ?').run(path);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function translate(path: string, error: unknown): unknown {
  if (!(error instanceof Sqlite.SqliteError)) return error;
  return new ForgeError('failed', `${path} cannot be opened as forge's database: ${error.message}`, {
    hint: 'restore it from a backup, or use another data directory',
    cause: error,
  });
}
