/** SSH public keys and what they may do. */
import type { Grant } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseLabel } from '../names.ts';
import { isDuplicate } from './database.ts';
import type { Row } from './database.ts';
import { readGrant, writeGrant } from './grants.ts';
import type { Store } from './store.ts';

export interface Key {
  readonly name: string;
  /** `ssh-ed25519` */
  readonly type: string;
  /** The key itself in SSH's wire format, base64. */
  readonly blob: string;
  /** `SHA256:…` as ssh-keygen -l prints it. */
  readonly fingerprint: string;
  readonly grant: Grant;
  readonly createdAt: string;
}

/** Throws `conflict` when the name or the key itself is there already. */
export function createKey(store: Store, draft: Omit<Key, 'createdAt'>): Key {
  const key = { ...draft, name: parseLabel(draft.name), createdAt: store.now().toISOString() };
  // Sessions, releases and the audit know a key or a token by its name alone.
  if (store.db.get('SELECT 1 FROM tokens WHERE name = ?', key.name)) throw new ForgeError('conflict', `there is already a token named ${key.name}`, { hint: 'choose another name' });
  try {
    store.db.run(
      'INSERT INTO keys (name, type, blob, fingerprint, access, created_at) VALUES (?, ?, ?, ?, ?, ?)',
      key.name,
      key.type,
      key.blob,
      key.fingerprint,
      writeGrant(key.grant),
      key.createdAt,
    );
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const other = findKeyByBlob(store, key.blob);
    const message = other ? `this key is there already, as ${other.name}` : `there is already a key named ${key.name}`;
    throw new ForgeError('conflict', message, { hint: other ? `forge keys:remove ${JSON.stringify(other.name)} first` : 'choose another name', cause: error });
  }
  return key;
}

/** All keys, by name. */
export const findKeys = (store: Store): readonly Key[] => store.db.all('SELECT * FROM keys ORDER BY name').map(readKey);

export const findKey = (store: Store, name: string): Key | undefined => one(store.db.get('SELECT * FROM keys WHERE name = ?', name));

/** The key with this blob (base64, as in authorized_keys). */
export const findKeyByBlob = (store: Store, blob: string): Key | undefined => one(store.db.get('SELECT * FROM keys WHERE blob = ?', blob));

export const findKeyByFingerprint = (store: Store, fingerprint: string): Key | undefined =>
  one(store.db.get('SELECT * FROM keys WHERE fingerprint = ?', fingerprint));

/** False: there was none. */
export const deleteKey = (store: Store, name: string): boolean => store.db.run('DELETE FROM keys WHERE name = ?', name) > 0;

const one = (row: Row | undefined): Key | undefined => row && readKey(row);

function readKey(row: Row): Key {
  return {
    name: String(row['name']),
    type: String(row['type']),
    blob: String(row['blob']),
    fingerprint: String(row['fingerprint']),
    grant: readGrant(row['access']),
    createdAt: String(row['created_at']),
  };
}
