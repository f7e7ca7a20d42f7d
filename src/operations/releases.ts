import { z } from 'zod';
import { getApp } from '../store/apps.ts';
import { findDeployments } from '../store/deployments.ts';
import { findReleases } from '../store/releases.ts';
import type { Store } from '../store/store.ts';
import { relativeTime } from './durations.ts';
import { appField, limitField } from './fields.ts';
import { defineOperation } from './operation.ts';
import { oneLine, table } from './table.ts';

const list = defineOperation({
  name: 'releases:list',
  aliases: ['releases'],
  summary: 'Show the releases of an app, newest first',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField, limit: limitField('releases', 20) }),
  run: async ({ app, limit }, { services }) => {
    const current = getApp(services.store, app).currentVersion;
    const failed = failedVersions(app, services.store);
    // Only what may be seen by everyone who sees the app: the config stays out.
    return findReleases(services.store, app, limit).map(({ version, createdAt, actor, reason, commit, image }) => ({
      version, isCurrent: version === current, hasFailed: failed.has(version), createdAt, actor, reason, commit, image: image.digest, builder: image.builder,
    }));
  },
  print: (releases, { services, style }) => {
    if (releases.length === 0) return 'No releases yet: the first push makes v1. git push forge main';
    const now = services.store.now();
    const rows = releases.map(({ version, isCurrent, hasFailed, createdAt, actor, reason }) => [
      `v${version}`, isCurrent ? style.good('current') : hasFailed ? 'never live' : '', relativeTime(createdAt, now), actor, oneLine(reason),
    ]);
    return table(['RELEASE', '', 'MADE', 'BY', 'WHAT'], rows, style);
  },
});

/** Releases whose deployment did not end well: they never served, or were taken back. */
const failedVersions = (app: string, store: Store): ReadonlySet<number | undefined> =>
  new Set(findDeployments(store, { app, statuses: ['failed', 'canceled', 'superseded'] }).map(({ version }) => version));

export const releaseOperations = [list];
