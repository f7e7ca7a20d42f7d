/** The key that config is encrypted with: 32 random bytes in `secrets.key`, made once, never replaced while anything needs it. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ForgeError } from '../errors.ts';
import type { Database } from './database.ts';

const keyBytes = 32;
const fact = 'secrets_key_check';

/**
 * The key of a data directory, made if nothing is encrypted yet. Throws `failed` when encrypted rows exist and the key
 * is missing, damaged or another one: going on would lose every value.
 */
export function openSecretsKey(data: string, db: Database): Buffer {
  const path = join(data, 'secrets.key');
  const key = readKey(path);
  const check = db.get('SELECT value FROM facts WHERE key = ?', fact)?.['value'];
  const isNeeded = hasEncryptedRows(db);
  if (key?.length === keyBytes && (check === undefined ? !isNeeded : isSame(String(check), checkOf(key)))) return remember(db, key);
  if (isNeeded) throw lostKey(path, key);
  if (key && key.length !== keyBytes) throw lostKey(path, key);
  return remember(db, key ?? createKey(path));
}

function hasEncryptedRows(db: Database): boolean {
  return db.get('SELECT 1 FROM config LIMIT 1') !== undefined || db.get('SELECT 1 FROM releases LIMIT 1') !== undefined;
}

function readKey(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ForgeError('failed', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Written aside, fsynced and renamed: a crash leaves no key or a whole one. */
function createKey(path: string): Buffer {
  const key = randomBytes(keyBytes);
  const aside = `${path}.${process.pid}.new`;
  const file = openSync(aside, 'wx', 0o600);
  try {
    writeSync(file, key);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
  return key;
}

function remember(db: Database, key: Buffer): Buffer {
  db.run('INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value', fact, checkOf(key));
  return key;
}

const checkOf = (key: Buffer): string => createHmac('sha256', key).update('forge secrets.key').digest('hex');

const isSame = (one: string, other: string): boolean => one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));

function lostKey(path: string, found: Buffer | undefined): ForgeError {
  const what = found === undefined ? 'is missing' : found.length === keyBytes ? 'is not the key this database was written with' : `is damaged (${found.length} bytes, expected ${keyBytes})`;
  return new ForgeError('failed', `${path} ${what}: the config of the apps cannot be read without it`, {
    hint: 'put back secrets.key from the backup of this data directory',
  });
}
