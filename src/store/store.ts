/** Everything forge remembers: SQLite in WAL mode in the data directory, one file per noun beside this one. */
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createCipher } from './cipher.ts';
import type { Cipher } from './cipher.ts';
import { openDatabase } from './database.ts';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { openSecretsKey } from './secrets-key.ts';

export interface Store {
  readonly db: Database;
  readonly cipher: Cipher;
  /** Time of new rows. */
  now(): Date;
  close(): void;
}

export interface StoreOptions {
  /** Absolute path of the data directory; made (0700) if missing. */
  readonly data: string;
  readonly log: Log;
  readonly now?: () => Date;
}

/**
 * Opens or creates the data directory's database and key and brings the schema up to date. Throws `conflict` for a
 * data directory of a newer version and one whose restore was interrupted, `failed` when secrets.key is missing or wrong.
 */
export function openStore(options: StoreOptions): Store {
  mkdirSync(options.data, { recursive: true, mode: 0o700 });
  closeToOthers(options);
  refuseHalfRestored(options.data);
  const path = join(options.data, 'forge.db');
  const db = openDatabase(path);
  try {
    migrate(db, { path });
    const cipher = createCipher(openSecretsKey(options.data, db));
    return { db, cipher, now: options.now ?? (() => new Date()), close: () => db.close() };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Several changes as one: all of them or none. */
export const inTransaction = <T>(store: Store, task: () => T): T => store.db.transaction(task);

/** Stands in the data directory while `forge restore` puts things in place. */
export const restoreMark = 'restore-unfinished';

/** A forge that starts there would take what is missing for removed, and remove the rest. */
function refuseHalfRestored(data: string): void {
  if (!existsSync(join(data, restoreMark))) return;
  throw new ForgeError('conflict', `a restore into ${data} was interrupted`, { hint: 'run forge restore again with the same file' });
}

/** A directory that was there before may be open to everybody; the group is left alone, an installation may rely on it. */
function closeToOthers({ data, log }: StoreOptions): void {
  const mode = statSync(data).mode & 0o777;
  if ((mode & 0o007) === 0) return;
  log.warn({ data, mode: mode.toString(8) }, 'the data directory was open to every user; closing it');
  chmodSync(data, mode & 0o770);
}
