/** Apps: name, settings, wanted formation, which release serves. */
import { defaultSettings, type App, type AppLock, type AppSettings, type Formation } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseAppName } from '../names.ts';
import { isDuplicate } from './database.ts';
import type { Row } from './database.ts';
import { releaseSubnetIndex } from './network-slots.ts';
import { withoutApp } from './grants.ts';
import type { Store } from './store.ts';

export interface AppPatch {
  /** Only the settings named here change; `undefined` takes a setting back to its default. */
  readonly settings?: Partial<AppSettings>;
  /** Replaces the whole formation. */
  readonly formation?: Formation;
  readonly isStopped?: boolean;
  /** `null` unlocks. */
  readonly lock?: Omit<AppLock, 'at'> | null;
  readonly isBeingRemoved?: true;
}

/** Throws `invalid` for a bad name, `conflict` when it is taken. */
export function createApp(store: Store, { name }: { readonly name: string }): App {
  parseAppName(name);
  // Until a rename is finished both of its names are taken.
  if (store.db.get('SELECT 1 FROM renames WHERE old_name = ? OR new_name = ?', name, name)) {
    throw new ForgeError('conflict', `the name ${name} is not free yet: an app is being renamed`, { hint: 'try again in a moment' });
  }
  try {
    store.db.run('INSERT INTO apps (name, created_at) VALUES (?, ?)', name, store.now().toISOString());
  } catch (error) {
    if (isDuplicate(error)) throw new ForgeError('conflict', `app ${name} exists already`, { hint: 'choose another name', cause: error });
    throw error;
  }
  return getApp(store, name);
}

export function findApp(store: Store, name: string): App | undefined {
  const row = store.db.get('SELECT * FROM apps WHERE name = ?', name);
  return row && readApp(row);
}

/** What tells an app from another one that had or gets its name; `undefined` when there is none. Cheap enough for every line of a log. */
export function findCreation(store: Store, name: string): string | undefined {
  const row = store.db.get('SELECT created_at FROM apps WHERE name = ?', name);
  return row && String(row['created_at']);
}

/** As `findApp`, but an app that is missing is an error: `not-found`. */
export function getApp(store: Store, name: string): App {
  const app = findApp(store, name);
  if (!app) throw noSuchApp(name);
  return app;
}

/** Also what is said of an app that the asker may not see: the two must not differ. */
export const noSuchApp = (name: string): ForgeError =>
  new ForgeError('not-found', `there is no app ${JSON.stringify(name)}`, { hint: 'forge apps lists the apps you can see' });

/** All apps, by name. */
export function findApps(store: Store): readonly App[] {
  return store.db.all('SELECT * FROM apps ORDER BY name').map(readApp);
}

/** Changes what the patch names and returns the app as it is then. Throws `not-found`. */
export function updateApp(store: Store, name: string, patch: AppPatch): App {
  return store.db.transaction(() => {
    const app = getApp(store, name);
    store.db.run(
      'UPDATE apps SET settings = ?, formation = ?, is_stopped = ?, lock = ?, is_being_removed = ? WHERE name = ?',
      JSON.stringify({ ...app.settings, ...patch.settings }),
      JSON.stringify(patch.formation ?? app.formation),
      Number(patch.isStopped ?? app.isStopped),
      lockAfter(app, patch, store),
      Number(patch.isBeingRemoved ?? app.isBeingRemoved),
      name,
    );
    return getApp(store, name);
  });
}

/** An app that is about to be made step by step: until `completeApp` it is marked as being removed, and a start of forge does that. Throws as `createApp`. */
export function createUnfinishedApp(store: Store, name: string): void {
  store.db.transaction(() => {
    createApp(store, { name });
    updateApp(store, name, { isBeingRemoved: true });
  });
}

/** The app was made step by step and is whole now: it is no longer marked as being removed. */
export function completeApp(store: Store, name: string): void {
  store.db.run('UPDATE apps SET is_being_removed = 0 WHERE name = ?', name);
}

/**
 * Forgets the app with its config, releases and deployments, gives back its network slot and takes the name out of
 * every grant: whoever uses the name next starts with nobody else's access. The audit stays. False: there was none.
 */
export function deleteApp(store: Store, name: string): boolean {
  return store.db.transaction(() => {
    releaseSubnetIndex(store, name);
    for (const table of ['keys', 'tokens'] as const) withoutApp(store, table, name);
    return store.db.run('DELETE FROM apps WHERE name = ?', name) > 0;
  });
}

function lockAfter(app: App, { lock }: AppPatch, store: Store): string | null {
  if (lock === null) return null;
  const wanted = lock ? { ...lock, at: store.now().toISOString() } : app.lock;
  return wanted ? JSON.stringify(wanted) : null;
}

function readApp(row: Row): App {
  return {
    name: String(row['name']),
    createdAt: String(row['created_at']),
    settings: readSettings(String(row['settings'])),
    formation: JSON.parse(String(row['formation'])) as Formation,
    isStopped: row['is_stopped'] === 1,
    currentVersion: row['current_version'] === null ? undefined : Number(row['current_version']),
    lock: row['lock'] === null ? undefined : (JSON.parse(String(row['lock'])) as AppLock),
    isBeingRemoved: row['is_being_removed'] === 1,
  };
}

/** Settings as they are stored: only what was set. */
export const readSettings = (text: string): AppSettings => ({ ...defaultSettings, ...(JSON.parse(text) as Partial<AppSettings>) });
