/** Facts about this data directory that are no row of anything: when something was done last, what proves the key. */
import type { Store } from './store.ts';

/** Keys of the facts that forge writes while it runs. */
export type FactKey = 'retention.last_run' | 'registry.last_collection';

export function findFact(store: Store, key: FactKey): string | undefined {
  const row = store.db.get('SELECT value FROM facts WHERE key = ?', key);
  return row && String(row['value']);
}

export function setFact(store: Store, key: FactKey, value: string): void {
  store.db.run('INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value);
}
