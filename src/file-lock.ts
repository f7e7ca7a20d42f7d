/** A lock that nobody has to clean up: SQLite's own, of an empty file. */
import { closeSync, openSync } from 'node:fs';
import Sqlite from 'better-sqlite3';

/** Locks the file (made with mode 0600, and it stays); the kernel takes the lock back when the process ends, however it ends. `undefined` when somebody else holds it. */
export function lockFile(path: string): Disposable | undefined {
  closeSync(openSync(path, 'a', 0o600));
  const sqlite = new Sqlite(path, { timeout: 0 });
  try {
    // Or it would begin a journal on the disk, which may be full.
    sqlite.pragma('journal_mode = MEMORY');
    sqlite.exec('BEGIN EXCLUSIVE');
    return { [Symbol.dispose]: () => void sqlite.close() };
  } catch (error) {
    sqlite.close();
    if (error instanceof Sqlite.SqliteError && error.code.startsWith('SQLITE_BUSY')) return undefined;
    throw error;
  }
}
