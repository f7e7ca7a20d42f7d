/** Whether a file that is whole has a forge in it: anybody may have packed it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ForgeError, isForgeError } from '../errors.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { readMigrations, schemaOf } from '../store/migrate.ts';
import { type BackupContents, dataFolder } from './format.ts';

/** What no forge is without. */
const needed = ['forge.db', 'id'];
/** Names of the engine begin with it. */
const idPattern = /^[0-9a-z]{1,40}$/;

/** Throws `invalid` when the contents lack what no forge is without. */
export function refuseIncomplete(file: string, { entries }: BackupContents): void {
  for (const name of needed) if (!entries[`${dataFolder}/${name}`]) throw noForge(file, `${dataFolder}/${name} is not in it`);
}

/** The id of the data directory that was unpacked. Throws `invalid` when it or the database is none of forge's, `conflict` when the database is of a newer forge. */
export async function checkData(file: string, aside: string): Promise<string> {
  const dataId = (await readFile(join(aside, 'id'), 'utf8')).trim();
  if (!idPattern.test(dataId)) throw noForge(file, `${dataFolder}/id is ${JSON.stringify(dataId.slice(0, 50))}: expected letters and digits`);
  const db = openUnpacked(file, aside);
  try {
    const tables = db.all(`SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('apps', 'migrations')`);
    if (tables.length < 2 || schemaOf(db) === 0) throw noForge(file, `${dataFolder}/forge.db is not the database of a forge`);
    refuseNewerSchema(file, { schema: schemaOf(db) });
  } finally {
    db.close();
  }
  return dataId;
}

/** `forge` is the version that wrote it, if known. */
export function refuseNewerSchema(file: string, { schema, forge }: { readonly schema: number; readonly forge?: string }): void {
  const known = readMigrations().at(-1)?.number ?? 0;
  if (schema <= known) return;
  throw new ForgeError('conflict', `${file} was written by a newer forge${forge === undefined ? '' : ` (${forge})`}: its schema is ${schema}, this forge knows ${known}`, { hint: 'install that version of forge or a later one' });
}

function openUnpacked(file: string, aside: string): Database {
  try {
    return openDatabase(join(aside, 'forge.db'));
  } catch (error) {
    if (!isForgeError(error)) throw error;
    throw noForge(file, `${dataFolder}/forge.db is no database`, error);
  }
}

const noForge = (file: string, why: string, cause?: unknown): ForgeError =>
  new ForgeError('invalid', `${file} is no backup of a forge: ${why}`, { hint: 'nothing was restored; forge backup --to FILE makes one', cause });
