/** Keys that are let in as admins when forge starts: what bin/install and `forge up --admin-key` hand over. */
import { readFileSync } from 'node:fs';
import { ForgeError } from '../errors.ts';
import { parseLabel } from '../names.ts';
import { createKey, findKey, findKeyByBlob } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { parsePublicKey } from './public-key.ts';

/** Adds every key of an authorized_keys file that forge does not know; resolves to their names. Lines with options are refused. */
export function addAdminKeys(store: Store, path: string): readonly string[] {
  const added: string[] = [];
  for (const line of linesOf(path)) {
    const { type, blob, fingerprint, comment } = parsePublicKey(line);
    if (findKeyByBlob(store, blob)) continue;
    const name = freeName(store, comment);
    createKey(store, { name, type, blob, fingerprint, grant: { isAdmin: true, permission: 'manage', apps: 'all' } });
    added.push(name);
  }
  return added;
}

function linesOf(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/);
    return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw new ForgeError('invalid', `the file of admin keys ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** The key's comment if it can be a name and nobody has it, else `admin`, `admin 2`, … */
function freeName(store: Store, comment: string): string {
  const wanted = isLabel(comment) ? comment : 'admin';
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? wanted : `${wanted} ${number}`;
    if (!findKey(store, name)) return name;
  }
}

function isLabel(text: string): boolean {
  try {
    parseLabel(text);
    return text.length < 60;
  } catch {
    return false;
  }
}
