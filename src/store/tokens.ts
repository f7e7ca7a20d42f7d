/** Access tokens: random, shown once, stored as SHA-256 (a slow hash protects guessable secrets; 256 random bits are none). */
import { createHash, randomBytes } from 'node:crypto';
import type { Grant } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseLabel } from '../names.ts';
import { isDuplicate } from './database.ts';
import type { Row } from './database.ts';
import { readGrant, writeGrant } from './grants.ts';
import type { Store } from './store.ts';

/** Lets scanners recognise a leaked token. */
const prefix = 'forge_';

export interface Token {
  readonly name: string;
  readonly grant: Grant;
  readonly createdAt: string;
  /** `undefined`: never. */
  readonly expiresAt: string | undefined;
}

export interface TokenDraft {
  readonly name: string;
  readonly grant: Grant;
  readonly expiresAt: string | undefined;
}

/** The secret is in the result and nowhere else. Throws `conflict` when the name is taken. */
export function createToken(store: Store, draft: TokenDraft): { readonly token: string; readonly row: Token } {
  // Sessions, releases and the audit know a key or a token by its name alone.
  if (store.db.get('SELECT 1 FROM keys WHERE name = ?', draft.name)) throw new ForgeError('conflict', `there is already a key named ${draft.name}`, { hint: 'choose another name' });
  const token = prefix + randomBytes(32).toString('base64url');
  const row: Token = { name: parseLabel(draft.name), grant: draft.grant, createdAt: store.now().toISOString(), expiresAt: draft.expiresAt };
  try {
    store.db.run(
      'INSERT INTO tokens (name, hash, access, created_at, expires_at) VALUES (?, ?, ?, ?, ?)',
      row.name,
      hashOf(token),
      writeGrant(row.grant),
      row.createdAt,
      row.expiresAt ?? null,
    );
  } catch (error) {
    if (isDuplicate(error)) throw new ForgeError('conflict', `there is already a token named ${row.name}`, { hint: 'choose another name', cause: error });
    throw error;
  }
  return { token, row };
}

/** The token with this secret, unless it has expired. */
export function findTokenBySecret(store: Store, secret: string): Token | undefined {
  if (!secret.startsWith(prefix) || secret.length > 200) return undefined;
  const row = store.db.get('SELECT * FROM tokens WHERE hash = ?', hashOf(secret));
  const token = row && readToken(row);
  return token && isExpired(store, token) ? undefined : token;
}

export const isExpired = (store: Store, token: Token): boolean =>
  token.expiresAt !== undefined && token.expiresAt <= store.now().toISOString();

/** All tokens, expired ones too, by name. */
export const findTokens = (store: Store): readonly Token[] => store.db.all('SELECT * FROM tokens ORDER BY name').map(readToken);

/** False: there was none. */
export const revokeToken = (store: Store, name: string): boolean => store.db.run('DELETE FROM tokens WHERE name = ?', name) > 0;

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret, 'utf8').digest();

function readToken(row: Row): Token {
  return {
    name: String(row['name']),
    grant: readGrant(row['access']),
    createdAt: String(row['created_at']),
    expiresAt: row['expires_at'] === null ? undefined : String(row['expires_at']),
  };
}
