/** Who changed what and when. Rows are added, and the oldest forgotten beyond a cap; details never hold values of config, keys' secrets or tokens. */
import type { Actor } from '../domain.ts';
import type { Row } from './database.ts';
import type { Store } from './store.ts';

export interface AuditRecord {
  readonly at: string;
  readonly actor: string;
  readonly via: Actor['via'];
  /** Name of the operation, or `push`. */
  readonly action: string;
  readonly app: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

export function recordAudit(store: Store, record: Omit<AuditRecord, 'at'>): void {
  store.db.run(
    'INSERT INTO audit (at, actor, via, action, app, details) VALUES (?, ?, ?, ?, ?, ?)',
    store.now().toISOString(),
    record.actor,
    record.via,
    record.action,
    record.app ?? null,
    JSON.stringify(record.details),
  );
}

/** Forgets all but the newest; returns how many. */
export function deleteOldAudit(store: Store, keep: number): number {
  return store.db.run('DELETE FROM audit WHERE id <= (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?)', keep);
}

/** Newest first. */
export function findAudit(store: Store, filter: { readonly app?: string; readonly limit?: number } = {}): readonly AuditRecord[] {
  const { app, limit = 100 } = filter;
  const rows =
    app === undefined
      ? store.db.all('SELECT * FROM audit ORDER BY id DESC LIMIT ?', limit)
      : store.db.all('SELECT * FROM audit WHERE app = ? ORDER BY id DESC LIMIT ?', app, limit);
  return rows.map(readRecord);
}

const readRecord = (row: Row): AuditRecord => ({
  at: String(row['at']),
  actor: String(row['actor']),
  via: String(row['via']) as Actor['via'],
  action: String(row['action']),
  app: row['app'] === null ? undefined : String(row['app']),
  details: JSON.parse(String(row['details'])) as Record<string, unknown>,
});
