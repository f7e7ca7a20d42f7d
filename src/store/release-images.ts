/** The images of releases: which are kept, which were given up. Reads and writes no config, so nothing is decrypted. */
import type { BuilderName } from '../domain.ts';
import { getApp } from './apps.ts';
import type { Row } from './database.ts';
import type { Store } from './store.ts';

export interface ReleaseImage {
  readonly app: string;
  readonly version: number;
  /** As `Image.reference`: several releases may have the same one. */
  readonly reference: string;
  readonly builder: BuilderName;
  readonly createdAt: string;
  /** It serves now. */
  readonly isCurrent: boolean;
  /** It has served. One that never did is not gone back to. */
  readonly hasBeenLive: boolean;
  /** When it was given up; `undefined` while it is kept. */
  readonly collectedAt: string | undefined;
}

const columns = `SELECT r.app, r.version, json_extract(r.image, '$.reference') AS reference, json_extract(r.image, '$.builder') AS builder,
  r.created_at, r.image_collected_at, r.version IS a.current_version AS is_current,
  EXISTS (SELECT 1 FROM deployments d WHERE d.app = r.app AND d.version = r.version AND d.status = 'succeeded') AS has_been_live
  FROM releases r JOIN apps a ON a.name = r.app`;

/** Of one app, newest first. */
export const findReleaseImages = (store: Store, app: string): readonly ReleaseImage[] =>
  store.db.all(`${columns} WHERE r.app = ? ORDER BY r.version DESC`, app).map(readReleaseImage);

/** Of every app that has releases with this image. */
export const findReleasesOfImage = (store: Store, reference: string): readonly ReleaseImage[] =>
  store.db.all(`${columns} WHERE json_extract(r.image, '$.reference') = ?`, reference).map(readReleaseImage);

/** References of the images that releases of other apps have: a clone shares them, a renamed app has those of its old name. */
export const findOtherImages = (store: Store, app: string): ReadonlySet<string> =>
  new Set(store.db.all("SELECT DISTINCT json_extract(image, '$.reference') AS reference FROM releases WHERE app <> ?", app).map((row) => String(row['reference'])));

/** Versions whose image was given up: no rollback leads there. */
export const findCollectedVersions = (store: Store, app: string): ReadonlySet<number> =>
  new Set(store.db.all('SELECT version FROM releases WHERE app = ? AND image_collected_at IS NOT NULL', app).map((row) => Number(row['version'])));

export const isImageCollected = (store: Store, app: string, version: number): boolean =>
  store.db.get('SELECT 1 FROM releases WHERE app = ? AND version = ? AND image_collected_at IS NOT NULL', app, version) !== undefined;

/** Gives up the app's releases with this image. Never the one that serves: false, and nothing changed. */
export function giveUpImage(store: Store, app: string, reference: string): boolean {
  return store.db.transaction(() => {
    const own = findReleasesOfImage(store, reference).filter((release) => release.app === app);
    if (own.length === 0 || own.some(({ isCurrent }) => isCurrent)) return false;
    const now = store.now().toISOString();
    for (const { version } of own) store.db.run('UPDATE releases SET image_collected_at = coalesce(image_collected_at, ?) WHERE app = ? AND version = ?', now, app, version);
    return true;
  });
}

/** Takes it back: a later build made the same image again. */
export function keepImage(store: Store, app: string, reference: string): void {
  store.db.run("UPDATE releases SET image_collected_at = NULL WHERE app = ? AND json_extract(image, '$.reference') = ?", app, reference);
}

/** Forgets releases older than the newest `keep` whose image was given up: their config snapshots are secrets. How many went. */
export function deleteOldReleases(store: Store, app: string, keep: number): number {
  return store.db.run(
    `DELETE FROM releases WHERE app = ? AND image_collected_at IS NOT NULL
      AND version NOT IN (SELECT version FROM releases WHERE app = ? ORDER BY version DESC LIMIT ?)
      AND version IS NOT (SELECT current_version FROM apps WHERE name = ?)`,
    app,
    app,
    keep,
    app,
  );
}

/** How many images the app keeps; `undefined`: as the machine's setting says. */
export function findKeepReleases(store: Store, app: string): number | undefined {
  const count = store.db.get('SELECT keep_releases FROM apps WHERE name = ?', app)?.['keep_releases'];
  return count === null || count === undefined ? undefined : Number(count);
}

/** Throws `not-found`. */
export function setKeepReleases(store: Store, app: string, count: number | undefined): void {
  getApp(store, app);
  store.db.run('UPDATE apps SET keep_releases = ? WHERE name = ?', count ?? null, app);
}

function readReleaseImage(row: Row): ReleaseImage {
  return {
    app: String(row['app']),
    version: Number(row['version']),
    reference: String(row['reference']),
    builder: String(row['builder']) as BuilderName,
    createdAt: String(row['created_at']),
    isCurrent: row['is_current'] === 1,
    hasBeenLive: row['has_been_live'] === 1,
    collectedAt: row['image_collected_at'] === null ? undefined : String(row['image_collected_at']),
  };
}
