/** Grants as keys and tokens store them: JSON in the column `access`. */
import type { Grant } from '../domain.ts';
import type { Store } from './store.ts';

export const writeGrant = (grant: Grant): string =>
  JSON.stringify({ isAdmin: grant.isAdmin, permission: grant.permission, apps: grant.apps });

export const readGrant = (text: unknown): Grant => JSON.parse(String(text)) as Grant;

/** Gives every grant on an app to its new name. */
export function renameInGrants(store: Store, table: 'keys' | 'tokens', { from, to }: { readonly from: string; readonly to: string }): void {
  for (const row of store.db.all(`SELECT name, access FROM ${table}`)) {
    const grant = readGrant(row['access']);
    if (grant.apps === 'all' || !grant.apps.includes(from)) continue;
    const renamed = { ...grant, apps: grant.apps.map((name) => (name === from ? to : name)) };
    store.db.run(`UPDATE ${table} SET access = ? WHERE name = ?`, writeGrant(renamed), row['name'] as string);
  }
}

/** Takes an app's name out of every grant of a table. */
export function withoutApp(store: Store, table: 'keys' | 'tokens', app: string): void {
  for (const row of store.db.all(`SELECT name, access FROM ${table}`)) {
    const grant = readGrant(row['access']);
    if (grant.apps === 'all' || !grant.apps.includes(app)) continue;
    const narrowed = { ...grant, apps: grant.apps.filter((name) => name !== app) };
    store.db.run(`UPDATE ${table} SET access = ? WHERE name = ?`, writeGrant(narrowed), row['name'] as string);
  }
}
