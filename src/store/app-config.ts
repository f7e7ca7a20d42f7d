/** Environment variables of apps, each value encrypted and bound to its app and key. */
import { parseEnvKey } from '../names.ts';
import { getApp } from './apps.ts';
import type { Store } from './store.ts';

const placeOf = (app: string, key: string): readonly string[] => ['config', app, key];

/** All variables of the app, by key. Empty for an app without any, or unknown. */
export function getConfig(store: Store, app: string): Record<string, string> {
  const rows = store.db.all('SELECT key, value FROM config WHERE app = ? ORDER BY key', app);
  // No prototype: a variable may be named __proto__.
  const config = Object.create(null) as Record<string, string>;
  for (const row of rows) {
    const key = String(row['key']);
    config[key] = store.cipher.decrypt(row['value'] as Buffer, placeOf(app, key));
  }
  return config;
}

/** Sets the values given and removes the keys that are `null`, all or none. Throws `invalid` for a bad key, `not-found` for an unknown app. */
export function setConfig(store: Store, app: string, changes: Readonly<Record<string, string | null>>): void {
  for (const key of Object.keys(changes)) parseEnvKey(key);
  store.db.transaction(() => {
    getApp(store, app);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) store.db.run('DELETE FROM config WHERE app = ? AND key = ?', app, key);
      else {
        store.db.run(
          'INSERT INTO config (app, key, value) VALUES (?, ?, ?) ON CONFLICT (app, key) DO UPDATE SET value = excluded.value',
          app,
          key,
          store.cipher.encrypt(value, placeOf(app, key)),
        );
      }
    }
  });
}

/** Encrypts the app's values for another name, under which the rows are about to stand. Within a transaction. */
export function rekeyConfig(store: Store, from: string, to: string): void {
  for (const [key, value] of Object.entries(getConfig(store, from))) {
    store.db.run('UPDATE config SET value = ? WHERE app = ? AND key = ?', store.cipher.encrypt(value, placeOf(to, key)), from, key);
  }
}
