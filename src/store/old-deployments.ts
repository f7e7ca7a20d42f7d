/** Which deployments are forgotten. */
import { findDeployment } from './deployments.ts';
import type { Store } from './store.ts';

/**
 * Forgets the app's deployments that ended, older than the newest `keep`. The one that says of a kept release that it has
 * served stays: without it nobody could go back there. Returns the ids, whose logs may go.
 */
export function deleteOldDeployments(store: Store, app: string, keep: number): readonly string[] {
  const rows = store.db.all(
    `DELETE FROM deployments WHERE app = ? AND ended_at IS NOT NULL AND undo IS NULL
      AND id NOT IN (SELECT id FROM deployments WHERE app = ? ORDER BY id DESC LIMIT ?)
      AND id NOT IN (SELECT max(d.id) FROM deployments d JOIN releases r ON r.app = d.app AND r.version = d.version
        WHERE d.app = ? AND d.status = 'succeeded' AND r.image_collected_at IS NULL GROUP BY d.version)
      RETURNING id`,
    app,
    app,
    keep,
    app,
  );
  return rows.map((row) => String(row['id']));
}

/** Of these ids, those that no deployment has any more. */
export const withoutDeployment = (store: Store, ids: readonly string[]): readonly string[] => ids.filter((id) => findDeployment(store, id) === undefined);
