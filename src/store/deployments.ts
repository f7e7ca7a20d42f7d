/** Deployments: every attempt has a row from its first moment, whatever becomes of it. */
import type { Deployment, DeploymentStatus, Origin } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Row } from './database.ts';
import { getApp } from './apps.ts';
import { nextDeploymentId } from './deployment-id.ts';
import type { Store } from './store.ts';

export type DeploymentDraft = Pick<Deployment, 'app' | 'actor' | 'origin' | 'reason'>;

export interface DeploymentPatch {
  readonly status?: DeploymentStatus;
  readonly reason?: string;
  readonly failure?: string | undefined;
  /** A further one goes below those before it. */
  readonly warning?: string;
  readonly version?: number;
  /** Default: now, at the first status after `queued`. */
  readonly startedAt?: string;
  /** Default: now, at a final status. */
  readonly endedAt?: string;
}

export interface DeploymentFilter {
  readonly app?: string;
  readonly statuses?: readonly DeploymentStatus[];
  /** Default 50; Infinity: all. */
  readonly limit?: number;
}

/** Statuses only move to a higher row; the last ones are final. */
const order: Readonly<Record<DeploymentStatus, number>> = {
  queued: 0,
  building: 1,
  releasing: 2,
  starting: 3,
  succeeded: 4,
  failed: 4,
  canceled: 4,
  superseded: 4,
};

export const unfinishedStatuses: readonly DeploymentStatus[] = ['queued', 'building', 'releasing', 'starting'];

export const isFinished = (status: DeploymentStatus): boolean => !unfinishedStatuses.includes(status);

/** A new attempt, `queued`. Throws `not-found` for an unknown app. */
export function createDeployment(store: Store, draft: DeploymentDraft): Deployment {
  return store.db.transaction(() => {
    getApp(store, draft.app);
    const now = store.now();
    const newest = store.db.get('SELECT max(id) AS id FROM deployments')?.['id'];
    const id = nextDeploymentId(now, newest ? String(newest) : undefined);
    store.db.run(
      `INSERT INTO deployments (id, app, status, actor, origin, reason, created_at) VALUES (?, ?, 'queued', ?, ?, ?, ?)`,
      id,
      draft.app,
      draft.actor,
      JSON.stringify(draft.origin),
      draft.reason,
      now.toISOString(),
    );
    return getDeployment(store, id);
  });
}

/**
 * Moves a deployment on; the times of start and end follow from the status unless given. Throws `conflict` when that would go
 * back or change one that has ended, `not-found` for an unknown id.
 */
export function updateDeployment(store: Store, id: string, patch: DeploymentPatch): Deployment {
  return store.db.transaction(() => {
    const before = getDeployment(store, id);
    const status = patch.status ?? before.status;
    if (isFinished(before.status) || order[status] < order[before.status]) {
      throw new ForgeError('conflict', `deployment ${id} is ${before.status} and cannot become ${status}`);
    }
    const now = store.now().toISOString();
    store.db.run(
      `UPDATE deployments SET status = ?, reason = ?, failure = ?, warning = ?, version = ?, started_at = ?, ended_at = ?,
        undo = CASE WHEN ? THEN NULL ELSE undo END WHERE id = ?`,
      status,
      patch.reason ?? before.reason,
      patch.failure ?? before.failure ?? null,
      [before.warning, patch.warning].filter((warning) => warning !== undefined).join('\n') || null,
      patch.version ?? before.version ?? null,
      before.startedAt ?? patch.startedAt ?? (status !== 'queued' && !isFinished(status) ? now : null),
      isFinished(status) ? (patch.endedAt ?? now) : null,
      Number(isFinished(status)),
      id,
    );
    return getDeployment(store, id);
  });
}

export function findDeployment(store: Store, id: string): Deployment | undefined {
  const row = store.db.get('SELECT * FROM deployments WHERE id = ?', id);
  return row && readDeployment(row);
}

/** Newest first. */
export function findDeployments(store: Store, filter: DeploymentFilter = {}): readonly Deployment[] {
  const { app, statuses, limit = 50 } = filter;
  const wanted: [sql: string, value: string][] = [];
  if (app !== undefined) wanted.push(['app = ?', app]);
  if (statuses) wanted.push(['status IN (SELECT value FROM json_each(?))', JSON.stringify(statuses)]);
  const where = wanted.length === 0 ? '' : `WHERE ${wanted.map(([sql]) => sql).join(' AND ')}`;
  const rows = store.db.all(`SELECT * FROM deployments ${where} ORDER BY id DESC LIMIT ?`, ...wanted.map(([, value]) => value), limit === Infinity ? -1 : limit);
  return rows.map(readDeployment);
}

/** Attempts without an end, of all apps or of one, oldest first. */
export function findUnfinishedDeployments(store: Store, app?: string): readonly Deployment[] {
  const [where, values] = app === undefined ? ['', []] : ['AND app = ?', [app]];
  return store.db.all(`SELECT * FROM deployments WHERE ended_at IS NULL ${where} ORDER BY id`, ...values).map(readDeployment);
}

/** The release below `version` that went live last; `undefined` when there was none. */
export function findVersionLiveBefore(store: Store, app: string, version: number): number | undefined {
  const row = store.db.get(
    "SELECT version FROM deployments WHERE app = ? AND status = 'succeeded' AND version < ? ORDER BY id DESC LIMIT 1",
    app,
    version,
  );
  return row && Number(row['version']);
}

/** Whether this release has ever served. */
export const hasBeenLive = (store: Store, app: string, version: number): boolean =>
  store.db.get("SELECT 1 FROM deployments WHERE app = ? AND version = ? AND status = 'succeeded' LIMIT 1", app, version) !== undefined;

function getDeployment(store: Store, id: string): Deployment {
  const deployment = findDeployment(store, id);
  if (!deployment) throw new ForgeError('not-found', `there is no deployment ${JSON.stringify(id)}`, { hint: 'forge deployments:list APP lists them' });
  return deployment;
}

const optional = (value: Row[string] | undefined): string | undefined => (value === null || value === undefined ? undefined : String(value));

function readDeployment(row: Row): Deployment {
  return {
    id: String(row['id']),
    app: String(row['app']),
    status: String(row['status']) as DeploymentStatus,
    actor: String(row['actor']),
    origin: JSON.parse(String(row['origin'])) as Origin,
    reason: String(row['reason']),
    failure: optional(row['failure']),
    warning: optional(row['warning']),
    version: row['version'] === null ? undefined : Number(row['version']),
    createdAt: String(row['created_at']),
    startedAt: optional(row['started_at']),
    endedAt: optional(row['ended_at']),
  };
}
