/** The first admin's keys, from a file of public keys such as authorized_keys. */
import { readFileSync } from 'node:fs';
import { ForgeError, isForgeError } from '../errors.ts';
import { recordAudit } from '../store/audit.ts';
import { createKey, findKey, findKeyByBlob } from '../store/keys.ts';
import type { Key } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { operator } from './actors.ts';
import { grantOf, printGrant } from './grant-fields.ts';
import { parsePublicKey } from './public-key.ts';
import type { PublicKey } from './public-key.ts';

/**
 * Makes every key of the file an admin key that is not known yet, named after its comment; keys that are known stay as
 * they are. Lines that forge's doors would not take (options, other types) are left out. Throws `invalid` when the file
 * cannot be read or has no key that is taken. Returns what it added.
 */
export function addAdminKeys(store: Store, path: string): readonly Key[] {
  const keys = readKeys(path);
  const added: Key[] = [];
  for (const { comment, ...key } of keys) {
    if (findKeyByBlob(store, key.blob)) continue;
    const grant = grantOf({ app: [], permission: undefined, admin: true });
    const row = createKey(store, { ...key, name: freeName(store, comment), grant });
    recordAudit(store, { actor: operator.name, via: operator.via, action: 'keys:add', app: undefined, details: { name: row.name, grant: printGrant(grant), from: 'adminKey' } });
    added.push(row);
  }
  return added;
}

function readKeys(path: string): readonly PublicKey[] {
  const lines = readLines(path).filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));
  const keys: PublicKey[] = [];
  let refusal: ForgeError | undefined;
  for (const line of lines) {
    try {
      keys.push(parsePublicKey(line));
    } catch (error) {
      if (!isForgeError(error)) throw error;
      refusal = error;
    }
  }
  if (keys.length > 0) return keys;
  throw new ForgeError('invalid', `adminKey: ${path} holds no key that can be taken${refusal ? `: ${refusal.message}` : ''}`, { hint: 'name a file such as ~/.ssh/id_ed25519.pub' });
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/);
  } catch (error) {
    throw new ForgeError('invalid', `adminKey: ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** The comment as far as it is a name, else `admin`; with a number when that is taken. */
function freeName(store: Store, comment: string): string {
  const base = comment.replaceAll(/[^A-Za-z0-9 ._@+-]/g, '').replace(/^[^A-Za-z0-9]+/, '').slice(0, 50) || 'admin';
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!findKey(store, name)) return name;
  }
}
