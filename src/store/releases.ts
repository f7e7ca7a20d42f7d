/** Releases: immutable, numbered per app, with an encrypted snapshot of the config. */
import { emptyAppFile, type AppFile } from '../app-file.ts';
import type { Formation, Image, ProcessTypes, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { getApp, readSettings } from './apps.ts';
import { isDangling } from './database.ts';
import type { Database, Row } from './database.ts';
import type { Store } from './store.ts';

/** A release before it has its number. */
export type ReleaseDraft = Omit<Release, 'version' | 'createdAt'>;

const placeOf = (app: string, version: number): readonly string[] => ['release', app, String(version)];

/** Stores the draft under the app's next number; it does not serve yet. Throws `not-found` for an unknown app. */
export function createRelease(store: Store, draft: ReleaseDraft): Release {
  return store.db.transaction(() => {
    getApp(store, draft.app);
    const counted = store.db.get('UPDATE apps SET last_version = last_version + 1 WHERE name = ? RETURNING last_version', draft.app);
    const release: Release = { ...draft, version: Number(counted?.['last_version']), createdAt: store.now().toISOString() };
    store.db.run(
      `INSERT INTO releases (app, version, image, config, formation, port, settings, app_file, reason, actor, created_at, commit_id)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      release.app,
      release.version,
      JSON.stringify(release.image),
      store.cipher.encrypt(JSON.stringify(Object.entries(release.config)), placeOf(release.app, release.version)),
      JSON.stringify(release.formation),
      release.port,
      JSON.stringify(release.settings),
      JSON.stringify(release.appFile),
      release.reason,
      release.actor,
      release.createdAt,
      release.commit ?? null,
    );
    return release;
  });
}

/** The number that the app's next release gets. */
export const nextVersion = (store: Store, app: string): number => Number(store.db.get('SELECT last_version FROM apps WHERE name = ?', app)?.['last_version'] ?? 0) + 1;

export function findRelease(store: Store, app: string, version: number): Release | undefined {
  const row = store.db.get('SELECT * FROM releases WHERE app = ? AND version = ?', app, version);
  return row && readRelease(store, row);
}

/** What a release can run, without reading its config; `undefined` when there is no such release. */
export function findProcessTypes(store: Store, app: string, version: number): ProcessTypes | undefined {
  const row = store.db.get("SELECT json_extract(image, '$.processTypes') AS types FROM releases WHERE app = ? AND version = ?", app, version);
  return row && (JSON.parse(String(row['types'])) as ProcessTypes);
}

/** When the release that serves was made, by app; apps without one are left out. Reads no config. */
export function findLiveSince(store: Store): ReadonlyMap<string, string> {
  const rows = store.db.all('SELECT a.name, r.created_at FROM apps a JOIN releases r ON r.app = a.name AND r.version = a.current_version');
  return new Map(rows.map((row) => [String(row['name']), String(row['created_at'])]));
}

/** The release that serves, if any. */
export function findCurrentRelease(store: Store, app: string): Release | undefined {
  const row = store.db.get('SELECT r.* FROM apps a JOIN releases r ON r.app = a.name AND r.version = a.current_version WHERE a.name = ?', app);
  return row && readRelease(store, row);
}

/** Makes a release the one that serves, or none. Throws `not-found` when the app or the release is missing. */
export function setCurrentRelease(store: Store, app: string, version: number | undefined): void {
  try {
    const changed = store.db.run('UPDATE apps SET current_version = ? WHERE name = ?', version ?? null, app);
    if (changed === 0) getApp(store, app);
  } catch (error) {
    if (isDangling(error)) throw new ForgeError('not-found', `${app} has no release v${version}`, { cause: error });
    throw error;
  }
}

/** Newest first. */
export function findReleases(store: Store, app: string, limit = 50): readonly Release[] {
  return store.db.all('SELECT * FROM releases WHERE app = ? ORDER BY version DESC LIMIT ?', app, limit).map((row) => readRelease(store, row));
}

/** For images that another engine loaded: it may know them by other names. Takes a database that nobody uses. */
export function replaceImageReferences(db: Database, from: string, to: string): void {
  db.run(`UPDATE releases SET image = json_set(image, '$.reference', ?) WHERE json_extract(image, '$.reference') = ?`, to, from);
}

/** Encrypts the config of the app's releases for another name, under which the rows are about to stand. Within a transaction. */
export function rekeyReleases(store: Store, from: string, to: string): void {
  for (const row of store.db.all('SELECT version, config FROM releases WHERE app = ?', from)) {
    const version = Number(row['version']);
    const text = store.cipher.decrypt(row['config'] as Buffer, placeOf(from, version));
    store.db.run('UPDATE releases SET config = ? WHERE app = ? AND version = ?', store.cipher.encrypt(text, placeOf(to, version)), from, version);
  }
}

function readRelease(store: Store, row: Row): Release {
  const app = String(row['app']);
  const version = Number(row['version']);
  const config = JSON.parse(store.cipher.decrypt(row['config'] as Buffer, placeOf(app, version))) as [string, string][];
  return {
    app,
    version,
    image: readImage(String(row['image'])),
    config: Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(config)),
    formation: JSON.parse(String(row['formation'])) as Formation,
    port: Number(row['port']),
    settings: readSettings(String(row['settings'])),
    appFile: readAppFile(String(row['app_file'])),
    reason: String(row['reason']),
    actor: String(row['actor']),
    createdAt: String(row['created_at']),
    commit: row['commit_id'] === null ? undefined : String(row['commit_id']),
  };
}

function readAppFile(text: string): AppFile {
  const file = JSON.parse(text) as Partial<AppFile>;
  return { ...emptyAppFile, ...file, tasks: { ...emptyAppFile.tasks, ...file.tasks } };
}

/** JSON leaves out what is `undefined`; the domain's fields are always there. */
function readImage(text: string): Image {
  const image = JSON.parse(text) as Image;
  const processTypes = Object.entries(image.processTypes).map(([type, { entrypoint, command }]) => [type, { entrypoint, command }] as const);
  return { ...image, launcher: image.launcher, processTypes: Object.fromEntries(processTypes) };
}
