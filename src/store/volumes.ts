/** Volumes of apps: which there are, and what the engine calls them. */
import { randomBytes } from 'node:crypto';
import { ForgeError } from '../errors.ts';
import { parseVolumeName } from '../names.ts';
import { getApp } from './apps.ts';
import type { Row } from './database.ts';
import type { Store } from './store.ts';

export interface Volume {
  readonly app: string;
  /** Unique among the app's. */
  readonly name: string;
  /** Never changes, whatever becomes of the app's name. */
  readonly engineName: string;
  readonly createdAt: string;
  /** Whether it got its first files and its owner already. */
  readonly isFilled: boolean;
}

/** Throws `invalid` for a bad name, `conflict` when the app has one of that name, `not-found` for an unknown app. */
export function createVolume(store: Store, { app, name, dataId }: { readonly app: string; readonly name: string; readonly dataId: string }): Volume {
  parseVolumeName(name);
  return store.db.transaction(() => {
    getApp(store, app);
    if (findVolume(store, app, name)) throw new ForgeError('conflict', `${app} has a volume ${name} already`, { hint: `forge volumes:list ${app}` });
    const engineName = freeEngineName(store, `forge-${dataId}-${app}-${name}`);
    store.db.run('INSERT INTO volumes (app, name, engine_name, created_at) VALUES (?, ?, ?, ?)', app, name, engineName, store.now().toISOString());
    return getVolume(store, app, name);
  });
}

/** `a` with `b-c` and `a-b` with `c` would be one; so would be a renamed app's and that of the next of its name. */
function freeEngineName(store: Store, wanted: string): string {
  const isTaken = store.db.get('SELECT 1 FROM volumes WHERE engine_name = ? UNION SELECT 1 FROM dropped_volumes WHERE engine_name = ?', wanted, wanted) !== undefined;
  return isTaken ? `${wanted}-${randomBytes(4).toString('hex')}` : wanted;
}

export function findVolume(store: Store, app: string, name: string): Volume | undefined {
  const row = store.db.get('SELECT * FROM volumes WHERE app = ? AND name = ?', app, name);
  return row && readVolume(row);
}

/** As `findVolume`, but one that is missing is an error: `not-found`. */
export function getVolume(store: Store, app: string, name: string): Volume {
  const volume = findVolume(store, app, name);
  if (!volume) throw new ForgeError('not-found', `${app} has no volume ${JSON.stringify(name)}`, { hint: `forge volumes:create ${app} NAME makes one, forge volumes:list ${app} lists them` });
  return volume;
}

/**
 * The volume that instances of this app mount. While the app is being renamed its volumes stand under the old name,
 * and the instances that start carry the new one. Throws `not-found`.
 */
export function getMountedVolume(store: Store, app: string, name: string): Volume {
  const rename = store.db.get('SELECT old_name FROM renames WHERE new_name = ? AND is_in_force = 0', app);
  return getVolume(store, rename ? String(rename['old_name']) : app, name);
}

/** All of an app, or of every app, by name. */
export function findVolumes(store: Store, app?: string): readonly Volume[] {
  const rows = app === undefined ? store.db.all('SELECT * FROM volumes ORDER BY app, name') : store.db.all('SELECT * FROM volumes WHERE app = ? ORDER BY name', app);
  return rows.map(readVolume);
}

/** From now on no image fills it. */
export function setVolumeFilled(store: Store, engineName: string): void {
  store.db.run('UPDATE volumes SET is_filled = 1 WHERE engine_name = ?', engineName);
}

/** A name for what a restore is written to, before it takes the place of the volume. It is dropped unless `replaceVolume` comes. */
export function prepareReplacement(store: Store, app: string, name: string): string {
  const { engineName } = getVolume(store, app, name);
  const fresh = `${engineName.replace(/-[0-9a-f]{8}$/, '')}-${randomBytes(4).toString('hex')}`;
  store.db.run('INSERT INTO dropped_volumes (engine_name) VALUES (?)', fresh);
  return fresh;
}

/** From now on the volume is this one of the engine; the one before is dropped. */
export function replaceVolume(store: Store, { app, name, engineName }: Pick<Volume, 'app' | 'name' | 'engineName'>): void {
  store.db.transaction(() => {
    const before = getVolume(store, app, name);
    store.db.run('UPDATE volumes SET engine_name = ?, is_filled = 1 WHERE app = ? AND name = ?', engineName, app, name);
    store.db.run('DELETE FROM dropped_volumes WHERE engine_name = ?', engineName);
    store.db.run('INSERT INTO dropped_volumes (engine_name) VALUES (?)', before.engineName);
  });
}

/** Forgets the volume, which is to be removed from the engine. False: there was none. */
export function dropVolume(store: Store, app: string, name: string): boolean {
  return store.db.transaction(() => {
    const volume = findVolume(store, app, name);
    if (!volume) return false;
    store.db.run('DELETE FROM volumes WHERE app = ? AND name = ?', app, name);
    store.db.run('INSERT OR IGNORE INTO dropped_volumes (engine_name) VALUES (?)', volume.engineName);
    return true;
  });
}

/** What the engine still has to remove, by its names. */
export const findDroppedVolumes = (store: Store): readonly string[] =>
  store.db.all('SELECT engine_name FROM dropped_volumes ORDER BY engine_name').map((row) => String(row['engine_name']));

/** The engine has removed it. */
export function forgetDroppedVolume(store: Store, engineName: string): void {
  store.db.run('DELETE FROM dropped_volumes WHERE engine_name = ?', engineName);
}

const readVolume = (row: Row): Volume => ({
  app: String(row['app']),
  name: String(row['name']),
  engineName: String(row['engine_name']),
  createdAt: String(row['created_at']),
  isFilled: row['is_filled'] === 1,
});
