/** Backups: when one was made, by whom, and how it ended. The newest hundred are remembered. */
import type { Row } from './database.ts';
import type { Store } from './store.ts';

const remembered = 100;

export interface BackupRecord {
  readonly id: number;
  /** Name in the folder of backups; `undefined`: it went to whoever asked. */
  readonly file: string | undefined;
  readonly actor: string;
  readonly startedAt: string;
  /** `undefined` while it is under way, and after forge was killed meanwhile. */
  readonly endedAt: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly failure: string | undefined;
  /** What should be in it and could not be had, in words. */
  readonly missing: readonly string[];
}

/** Returns the id of a backup that begins now. */
export function beginBackup(store: Store, { file, actor }: Pick<BackupRecord, 'file' | 'actor'>): number {
  return store.db.transaction(() => {
    const row = store.db.get('INSERT INTO backups (file, actor, started_at) VALUES (?, ?, ?) RETURNING id', file ?? null, actor, store.now().toISOString());
    const id = Number(row?.['id']);
    store.db.run('DELETE FROM backups WHERE id <= ?', id - remembered);
    return id;
  });
}

export function endBackup(store: Store, id: number, { sizeBytes, failure, missing = [] }: Partial<Pick<BackupRecord, 'sizeBytes' | 'failure' | 'missing'>>): void {
  store.db.run('UPDATE backups SET ended_at = ?, size_bytes = ?, failure = ?, missing = ? WHERE id = ?', store.now().toISOString(), sizeBytes ?? null, failure ?? null, JSON.stringify(missing), id);
}

/** Those that a forge which was killed left unfinished are over. */
export function endInterruptedBackups(store: Store): void {
  store.db.run(`UPDATE backups SET ended_at = ?, failure = 'interrupted: forge was stopped meanwhile' WHERE ended_at IS NULL`, store.now().toISOString());
}

/** Newest first. */
export const findBackups = (store: Store, limit = remembered): readonly BackupRecord[] => store.db.all('SELECT * FROM backups ORDER BY id DESC LIMIT ?', limit).map(readBackupRecord);

/** When the last scheduled one began, whatever became of it. */
export function lastScheduledBackup(store: Store): string | undefined {
  const row = store.db.get('SELECT started_at FROM backups WHERE file IS NOT NULL ORDER BY id DESC LIMIT 1');
  return row && String(row['started_at']);
}

const textOf = (row: Row, column: string): string | undefined => (row[column] === null ? undefined : String(row[column]));

const readBackupRecord = (row: Row): BackupRecord => ({
  id: Number(row['id']),
  file: textOf(row, 'file'),
  actor: String(row['actor']),
  startedAt: String(row['started_at']),
  endedAt: textOf(row, 'ended_at'),
  sizeBytes: row['size_bytes'] === null ? undefined : Number(row['size_bytes']),
  failure: textOf(row, 'failure'),
  missing: JSON.parse(String(row['missing'])) as string[],
});
