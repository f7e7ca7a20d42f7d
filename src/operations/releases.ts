import { z } from 'zod';
import type { Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseVersion } from '../names.ts';
import { getApp } from '../store/apps.ts';
import { findDeployments, hasBeenLive } from '../store/deployments.ts';
import { findCollectedVersions } from '../store/release-images.ts';
import { findRelease, findReleases } from '../store/releases.ts';
import type { Store } from '../store/store.ts';
import { relativeTime } from './durations.ts';
import { appField, limitField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { diffReleases, type ReleaseDiff } from './release-diff.ts';
import { facts, oneLine, table } from './table.ts';

const versionField = z.string().overwrite((text) => `v${parseVersion(text)}`);
const versionOf = (text: string): number => Number(text.slice(1));

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
    const collected = findCollectedVersions(services.store, app);
    // Only what may be seen by everyone who sees the app: the config stays out.
    return findReleases(services.store, app, limit).map(({ version, createdAt, actor, reason, commit, image }) => ({
      version, isCurrent: version === current, hasFailed: failed.has(version), isImageGone: collected.has(version), createdAt, actor, reason, commit, image: image.digest, builder: image.builder,
    }));
  },
  print: (releases, { services, style }) => {
    if (releases.length === 0) return 'No releases yet: the first push makes v1. git push forge main';
    const now = services.store.now();
    const rows = releases.map(({ version, isCurrent, hasFailed, isImageGone, createdAt, actor, reason }) => [
      `v${version}`, isCurrent ? style.good('current') : hasFailed ? 'never live' : isImageGone ? 'image gone' : '', relativeTime(createdAt, now), actor, oneLine(reason),
    ]);
    return table(['RELEASE', '', 'MADE', 'BY', 'WHAT'], rows, style);
  },
});

const info = defineOperation({
  name: 'releases:info',
  summary: 'Show one release: code, config keys, processes, settings',
  help: 'forge releases:info hello v3\nWithout a release, the one that serves. Of the config only the names are shown.',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app', 'release'],
  input: z.object({ app: appField, release: versionField.optional().meta(says('A release such as v3', { placeholder: 'vN' })) }),
  run: async ({ app, release: wanted }, { services: { store } }) => {
    const release = wanted === undefined ? currentOf(app, store) : releaseOf(app, versionOf(wanted), store);
    const { version, createdAt, actor, reason, commit, image, formation, port, settings } = release;
    const { currentVersion } = getApp(store, app);
    return {
      version, isCurrent: version === currentVersion, hasServed: hasBeenLive(store, app, version), createdAt, actor, reason, commit,
      builder: image.builder, image: image.digest, processTypes: Object.keys(image.processTypes), formation, port, settings, config: Object.keys(release.config).sort(),
    };
  },
  print: (release, { services, style }) =>
    facts(
      [
        ['release', `v${release.version}${release.isCurrent ? ', current' : release.hasServed ? '' : ', never served'}`],
        ['what', oneLine(release.reason)],
        ['made', `${relativeTime(release.createdAt, services.store.now())} by ${release.actor}`],
        ['commit', release.commit],
        ['built with', release.builder],
        ['image', release.image],
        ['port', String(release.port)],
        ['processes', release.processTypes.join(' ')],
        ['config', release.config.length === 0 ? 'none' : release.config.join(' ')],
      ],
      style,
    ),
});

const diff = defineOperation({
  name: 'releases:diff',
  summary: 'Show what differs between two releases; of the config only the names',
  help: 'forge releases:diff hello v3 v5\nWith one release, what differs between it and the one that serves.',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app', 'from', 'to'],
  input: z.object({
    app: appField,
    from: versionField.meta(says('The earlier release', { placeholder: 'vN' })),
    to: versionField.optional().meta(says('The later one; default: the one that serves', { placeholder: 'vN' })),
  }),
  run: async ({ app, from, to }, { services: { store } }) =>
    diffReleases(releaseOf(app, versionOf(from), store), to === undefined ? currentOf(app, store) : releaseOf(app, versionOf(to), store)),
  print: (found, { style }) => {
    const rows = describeDiff(found);
    return rows.length === 0 ? `v${found.from} and v${found.to} do not differ` : facts([['releases', `v${found.from} → v${found.to}`], ...rows], style);
  },
});

const rollback = defineOperation({
  name: 'releases:rollback',
  aliases: ['rollback'],
  summary: 'Go back to the code and config of an earlier release, as a new one',
  help: 'forge releases:rollback hello\nforge releases:rollback hello v3 --config-only\nWithout a release, to the one that served before. Nothing is built and no release command runs.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'release'],
  input: z.object({
    app: appField,
    release: versionField.optional().meta(says('A release such as v3', { placeholder: 'vN' })),
    codeOnly: z.boolean().default(false).meta(says('Keep the config and settings of now')),
    configOnly: z.boolean().default(false).meta(says('Keep the code of now')),
  }),
  audit: ({ release, codeOnly, configOnly }) => ({ release, codeOnly, configOnly }),
  run: async ({ app, release, codeOnly, configOnly }, { session, services, progress }) => {
    if (codeOnly && configOnly) throw new ForgeError('invalid', '--code-only and --config-only exclude each other', { hint: 'leave both out to go back with code and config' });
    const part = codeOnly ? 'code' : configOnly ? 'config' : 'code and config';
    const version = release === undefined ? undefined : versionOf(release);
    const made = await services.deployer.rollback({ app, version, part, actor: session.actor, output: progress, signal: session.signal });
    return { app, release: made.version, reason: made.reason };
  },
  print: ({ app, release, reason }) => `${app} runs v${release}: ${reason}`,
});

function releaseOf(app: string, version: number, store: Store): Release {
  const release = findRelease(store, app, version);
  if (!release) throw new ForgeError('not-found', `${app} has no release v${version}`, { hint: `forge releases:list ${app} lists them` });
  return release;
}

function currentOf(app: string, store: Store): Release {
  const { currentVersion } = getApp(store, app);
  if (currentVersion === undefined) throw new ForgeError('conflict', `${app} has no release yet`, { hint: 'the first push makes v1: git push forge main' });
  return releaseOf(app, currentVersion, store);
}

function describeDiff({ image, commit, config, settings, processTypes, port }: ReleaseDiff): (readonly [string, string])[] {
  const change = ([before, after]: readonly [unknown, unknown]): string => `${String(before ?? '–')} → ${String(after ?? '–')}`;
  const names = ({ added, removed, changed }: ReleaseDiff['config']): string => [...added.map((name) => `+${name}`), ...removed.map((name) => `-${name}`), ...changed.map((name) => `~${name}`)].join(' ');
  return [
    ...(commit ? [['commit', change(commit)] as const] : []),
    ...(image ? [['image', change(image)] as const] : []),
    ...(port ? [['port', change(port)] as const] : []),
    ...(names(processTypes) === '' ? [] : [['processes', names(processTypes)] as const]),
    ...(names(config) === '' ? [] : [['config', names(config)] as const]),
    ...(settings.length === 0 ? [] : [['settings', settings.join(' ')] as const]),
  ];
}

/** Releases whose deployment did not end well: they never served, or were taken back. */
const failedVersions = (app: string, store: Store): ReadonlySet<number | undefined> =>
  new Set(findDeployments(store, { app, statuses: ['failed', 'canceled', 'superseded'] }).map(({ version }) => version));

export const releaseOperations = [list, info, diff, rollback];
