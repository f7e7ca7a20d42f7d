import { z } from 'zod';
import { setKeepReleases } from '../store/release-images.ts';
import { getApp } from '../store/apps.ts';
import type { Collected } from '../retention/collect-all.ts';
import type { DiskReport, Next } from '../retention/disk-report.ts';
import { appField } from './fields.ts';
import { humanSize } from './human-size.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import type { Style } from './style.ts';
import { facts, table } from './table.ts';

const report = defineOperation({
  name: 'disk:report',
  summary: 'Show what takes the disk: images, volumes, logs, repositories, caches, and what would be removed next',
  help: 'forge disk:report\nforge disk:report hello\nOWN is what only images of this app hold: a layer that several share is on the disk once. ? stands for what could not be measured in time.',
  target: 'machine',
  permission: 'admin',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField.optional() }),
  run: async ({ app }, { session, services }) => {
    if (app !== undefined) getApp(services.store, app);
    return await services.retention.report(app, session.signal);
  },
  print: (found, { style }) => printReport(found, style),
});

const clean = defineOperation({
  name: 'disk:clean',
  summary: 'Remove now what is no longer needed: old images, logs, build caches, leftovers',
  help: [
    'forge disk:clean --dry-run\nforge disk:clean',
    'forge does this by itself, after each release and every few hours. It never removes the image of a release that serves or that may be gone back to, nor anything that forge did not make.',
  ].join('\n\n'),
  target: 'machine',
  permission: 'admin',
  isChange: true,
  positionals: [],
  input: z.object({ dryRun: z.boolean().default(false).meta(says('Only show what would be removed')) }),
  audit: ({ dryRun }) => ({ dryRun }),
  run: async ({ dryRun }, { session, services }) => {
    if (dryRun) return { isDryRun: true as const, next: (await services.retention.report(undefined, session.signal)).next };
    return { isDryRun: false as const, ...(await services.retention.collect({ isAsked: true, signal: session.signal })) };
  },
  print: (done, { style }) => (done.isDryRun ? printNext(done.next, style) : printCollected(done)),
});

const keep = defineOperation({
  name: 'releases:keep',
  summary: 'Set how many images of releases are kept for an app, and so how far back a rollback can go',
  help: 'forge releases:keep hello 3\nforge releases:keep hello default\nThe release that serves counts as one. A config change makes a release but no image, and counts for nothing here.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'count'],
  input: z.object({ app: appField, count: z.string().regex(/^(default|[1-9]\d{0,2}|1000)$/, 'expected 1 to 1000, or default').meta(says('1 to 1000, or default', { placeholder: 'N' })) }),
  audit: ({ count }) => ({ count }),
  run: async ({ app, count }, { services }) => {
    setKeepReleases(services.store, app, count === 'default' ? undefined : Number(count));
    return { app, keep: count === 'default' ? services.config.keepReleases : Number(count) };
  },
  print: ({ app, keep: count }) => `${app} keeps ${count === 1 ? 'the image that serves, and no other' : `the ${count} images that served last`}; what is more goes with the next release, or now with disk:clean`,
});

function printReport({ disks, apps, imageBytes, engineBuildCacheBytes, registryBytes, limits, next }: DiskReport, style: Style): string {
  const rows = apps.map(({ app, images, volumeBytes, buildCacheBytes, repositoryBytes, logBytes }) => [
    app, images ? `${images.count}/${images.keep}` : '?', humanSize(images?.bytes), humanSize(images?.ownBytes), humanSize(volumeBytes), humanSize(buildCacheBytes), humanSize(repositoryBytes), humanSize(logBytes),
  ]);
  const free = disks.map(({ directory, freeBytes, totalBytes }): [string, string] => {
    const text = `${humanSize(freeBytes)} of ${humanSize(totalBytes)} free; builds are refused below ${humanSize(limits.minFreeBytes)}`;
    return [`disk of ${directory}`, freeBytes < limits.minFreeBytes ? style.bad(text) : text];
  });
  return [
    facts(free, style),
    apps.length === 0 ? 'No apps yet' : table(['APP', 'IMAGES', 'SIZE', 'OWN', 'VOLUMES', 'CACHE', 'REPOSITORY', 'LOGS'], rows, style),
    facts(
      [
        ['images of apps', `${humanSize(imageBytes)} of at most ${humanSize(limits.keepImageBytes)}`],
        ['build cache of the engine', `${humanSize(engineBuildCacheBytes)}${limits.buildCacheBytes === 0 ? ', left alone' : ` of at most ${humanSize(limits.buildCacheBytes)}`}`],
        ['image registry', humanSize(registryBytes)],
        ['kept per app', `${limits.keepReleases} images, ${limits.keepDeployments} deployments, ${humanSize(limits.keepLogBytes)} of logs`],
      ],
      style,
    ),
    printNext(next, style),
  ].join('\n\n');
}

function printNext({ images, buildCaches }: Next, style: Style): string {
  if (images.length + buildCaches.length === 0) return 'Nothing is to be removed';
  const rows = [
    ...images.map(({ app, id, versions, bytes }) => [app, versions.length === 0 ? 'image of no release' : `image of ${versions.map((version) => `v${version}`).join(' ')}`, id.replace('sha256:', '').slice(0, 12), humanSize(bytes)]),
    ...buildCaches.map(({ app, bytes }) => [app, 'build cache', '', humanSize(bytes)]),
  ];
  return table(['APP', 'TO BE REMOVED', '', 'SIZE'], rows, style);
}

function printCollected({ images, deployments, releases, logBytes, cacheBytes, busy, problems }: Collected): string {
  return [
    `Removed ${images.length} images, ${humanSize(cacheBytes)} of build caches, ${deployments} old deployments, ${releases} old releases, ${humanSize(logBytes)} of old logs`,
    ...images.map(({ app, id, versions }) => `  ${app} ${versions.length === 0 ? 'no release' : versions.map((version) => `v${version}`).join(' ')}: ${id.replace('sha256:', '').slice(0, 12)}`),
    ...(busy.length > 0 ? [`Left alone, because a change of it is under way: ${busy.join(', ')}`] : []),
    ...problems.map((problem) => `Not done: ${problem}`),
  ].join('\n');
}

export const diskOperations = [report, clean, keep];
