/** Renaming an app: every row that names it, and a journal from which a start of forge undoes or finishes what was interrupted. */
import { ForgeError } from '../errors.ts';
import { parseAppName } from '../names.ts';
import { rekeyConfig } from './app-config.ts';
import { findApp, getApp } from './apps.ts';
import { renameInGrants } from './grants.ts';
import { rekeyReleases } from './releases.ts';
import type { Store } from './store.ts';

export interface Rename {
  readonly from: string;
  readonly to: string;
  /** The rows carry the new name; what is left is to be finished, not undone. */
  readonly isInForce: boolean;
}

/** Reserves both names. Throws `conflict` when the new one is taken or either is being renamed, `not-found` for an unknown app. */
export function beginRename(store: Store, { from, to }: Pick<Rename, 'from' | 'to'>): void {
  parseAppName(to);
  store.db.transaction(() => {
    getApp(store, from);
    if (findApp(store, to)) throw new ForgeError('conflict', `app ${to} exists already`, { hint: 'choose another name' });
    if (store.db.get('SELECT 1 FROM renames WHERE ? IN (old_name, new_name) OR ? IN (old_name, new_name)', from, to)) {
      throw new ForgeError('conflict', `${from} cannot be named ${to} now: an app of one of these names is being renamed`, { hint: 'try again in a moment' });
    }
    store.db.run('INSERT INTO renames (old_name, new_name) VALUES (?, ?)', from, to);
  });
}

/** The moment of the renaming: from here on every row has the new name, in one transaction, and the journal says so. */
export function putRenameInForce(store: Store, { from, to }: Pick<Rename, 'from' | 'to'>): void {
  store.db.transaction(() => {
    // Rows refer to each other by the name; what counts is that all is well at the end.
    store.db.script('PRAGMA defer_foreign_keys = ON');
    rekeyConfig(store, from, to);
    rekeyReleases(store, from, to);
    for (const { table, column } of columnsOfNames(store)) store.db.run(`UPDATE "${table}" SET "${column}" = ? WHERE "${column}" = ?`, to, from);
    store.db.run('UPDATE apps SET name = ? WHERE name = ?', to, from);
    for (const table of ['keys', 'tokens'] as const) renameInGrants(store, table, { from, to });
    store.db.run('UPDATE renames SET is_in_force = 1 WHERE old_name = ?', from);
  });
}

/** Forgets the rename: it is finished, or was given up before it was in force. */
export function endRename(store: Store, from: string): void {
  store.db.run('DELETE FROM renames WHERE old_name = ?', from);
}

export const findRenames = (store: Store): readonly Rename[] =>
  store.db.all('SELECT * FROM renames ORDER BY old_name').map((row) => ({ from: String(row['old_name']), to: String(row['new_name']), isInForce: row['is_in_force'] === 1 }));

/** Every column that refers to an app's name, read from the schema: a table that is added later is not forgotten. */
function columnsOfNames(store: Store): readonly { readonly table: string; readonly column: string }[] {
  const rows = store.db.all(
    `SELECT m.name AS "table", k."from" AS "column" FROM sqlite_master m, pragma_foreign_key_list(m.name) k
     WHERE m.type = 'table' AND k."table" = 'apps' AND k."to" = 'name'`,
  );
  return rows.map((row) => ({ table: String(row['table']), column: String(row['column']) }));
}
