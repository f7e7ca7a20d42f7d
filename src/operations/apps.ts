import { z } from 'zod';
import type { App } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { createReport } from '../report.ts';
import { createApp, findApps, getApp } from '../store/apps.ts';
import { findLiveSince, findRelease } from '../store/releases.ts';
import { askLine } from './ask-line.ts';
import { canSee } from './authorize.ts';
import { relativeTime } from './durations.ts';
import { appField, newAppField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { describeSettings, stateOf } from './describe-app.ts';
import { facts, oneLine, table } from './table.ts';

const create = defineOperation({
  name: 'apps:create',
  summary: 'Create an app',
  help: 'Pushing to a name that is not taken creates the app too.',
  target: 'machine',
  permission: 'admin',
  isChange: true,
  positionals: ['app'],
  input: z.object({ app: newAppField }),
  run: async ({ app }, { services }) => {
    createApp(services.store, { name: app });
    return { app, url: services.deployer.urlOf(app) };
  },
  print: ({ app, url }, { style }) => `${style.good('Created')} ${app}: ${url}\nDeploy to it: git remote add forge …/${app}, then git push forge main`,
});

const list = defineOperation({
  name: 'apps:list',
  aliases: ['apps'],
  summary: 'List the apps you can see',
  target: 'machine',
  permission: 'anyone',
  isChange: false,
  positionals: [],
  input: z.object({ quiet: z.boolean().default(false).meta(says('Names only', { short: 'q' })) }),
  run: async ({ quiet }, { session, services }) => {
    const liveSince = findLiveSince(services.store);
    const apps = findApps(services.store).filter(({ name }) => canSee(session.actor, name));
    return {
      isQuiet: quiet,
      apps: apps.map((app) => ({
        name: app.name,
        state: stateOf(app),
        release: app.currentVersion,
        releasedAt: liveSince.get(app.name),
        url: services.deployer.urlOf(app.name),
      })),
    };
  },
  print: ({ apps, isQuiet }, { services, style }) => {
    if (isQuiet) return apps.length === 0 ? undefined : apps.map(({ name }) => name).join('\n');
    if (apps.length === 0) return 'No apps yet. Create one: forge apps:create NAME, or push to a name of your choice.';
    const now = services.store.now();
    const rows = apps.map(({ name, state, release, releasedAt, url }) => [
      name, state, release === undefined ? '–' : `v${release}`, releasedAt === undefined ? '–' : relativeTime(releasedAt, now), url,
    ]);
    return table(['APP', 'STATE', 'RELEASE', 'SINCE', 'URL'], rows, style);
  },
});

const info = defineOperation({
  name: 'apps:info',
  summary: 'Show an app: what serves, its settings, its instances',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app: name }, { services }) => {
    const app = getApp(services.store, name);
    const release = app.currentVersion === undefined ? undefined : findRelease(services.store, name, app.currentVersion);
    return {
      name,
      url: services.deployer.urlOf(name),
      state: stateOf(app),
      createdAt: app.createdAt,
      deployBranch: await services.repositories.headBranch(name),
      release: release && { version: release.version, reason: release.reason, actor: release.actor, createdAt: release.createdAt, commit: release.commit, builder: release.image.builder, image: release.image.digest, port: release.port, formation: release.formation },
      formation: app.formation,
      settings: app.settings,
      lock: app.lock,
    };
  },
  print: (app, { services, style }) => {
    const now = services.store.now();
    const { release } = app;
    return facts(
      [
        ['app', app.name],
        ['url', app.url],
        ['state', app.state],
        ['locked', app.lock && `by ${app.lock.actor}, ${relativeTime(app.lock.at, now)}: ${oneLine(app.lock.reason)}`],
        ['created', relativeTime(app.createdAt, now)],
        ['deploy branch', app.deployBranch ?? 'the first branch pushed'],
        ['release', release && `v${release.version}, ${relativeTime(release.createdAt, now)} by ${release.actor}: ${release.reason}`],
        ['built with', release?.builder],
        ['image', release?.image],
        ...describeSettings(app as Pick<App, 'settings' | 'formation'>, release?.port),
      ],
      style,
    );
  },
});

const destroy = defineOperation({
  name: 'apps:destroy',
  summary: 'Remove an app with its releases, config, logs and repository',
  target: 'app',
  permission: 'manage',
  isChange: true,
  readsStdin: true,
  positionals: ['app'],
  input: z.object({ app: appField, confirm: z.string().optional().meta(says('The app’s name again, instead of being asked', { placeholder: 'APP' })) }),
  run: async ({ app, confirm }, { session, services, progress }) => {
    getApp(services.store, app);
    const answer = confirm ?? (await askLine(session, `This removes ${app} and everything of it. Type its name to go on: `));
    if (answer !== app) {
      throw new ForgeError('invalid', `${app} was not removed: the name given to confirm is not its name`, { hint: `forge apps:destroy ${app} --confirm ${app}` });
    }
    await services.apps.destroy({ app, actor: session.actor, report: createReport([progress]), signal: session.signal });
    return { app };
  },
  print: ({ app }) => `Removed ${app}`,
});

const url = defineOperation({
  name: 'apps:url',
  summary: 'Print the URL of an app',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, { services }) => ({ url: services.deployer.urlOf(app) }),
  print: ({ url }) => url,
});

const rename = defineOperation({
  name: 'apps:rename',
  summary: 'Give an app another name',
  help: 'forge apps:rename hello greeter\nReleases, config, code, logs, volumes and permissions stay. Instances are started under the new name before the old ones end; the old host answers 404 from then on.',
  target: 'app',
  permission: 'admin',
  isChange: true,
  positionals: ['app', 'to'],
  input: z.object({ app: appField, to: newAppField.meta(says('The new name', { placeholder: 'NEW' })) }),
  audit: ({ to }) => ({ to }),
  run: async ({ app, to }, { session, services, progress }) => {
    await services.apps.rename({ from: app, to, actor: session.actor, report: createReport([progress]), signal: session.signal });
    return { app: to, url: services.deployer.urlOf(to) };
  },
  print: ({ app, url: at }) => `It is ${app} now: ${at}\nRemotes point to the old name still: git remote set-url forge …/${app}`,
});

const clone = defineOperation({
  name: 'apps:clone',
  summary: 'Make a second app like another: code, image, config and settings',
  help: 'forge apps:clone hello staging\nNothing is built: it runs the live image. Its volumes have the same names and are empty.',
  target: 'app',
  permission: 'admin',
  isChange: true,
  positionals: ['app', 'to'],
  input: z.object({ app: appField, to: newAppField.meta(says('Name of the new app', { placeholder: 'NEW' })), skipDeploy: z.boolean().default(false).meta(says('Do not start it')) }),
  audit: ({ to }) => ({ to }),
  run: async ({ app, to, skipDeploy }, { session, services, progress }) => {
    const isStarted = !skipDeploy;
    const cloned = await services.apps.clone({ from: app, to, actor: session.actor, report: createReport([progress]), output: progress, signal: session.signal, isStarted });
    return { app: to, url: services.deployer.urlOf(to), isStarted, ...cloned };
  },
  print: ({ app, url: at, release, isStarted, volumes }) =>
    [
      release !== undefined && !isStarted ? `Made ${app}, stopped. Start it: forge ps:start ${app}` : `Made ${app}: ${at}`,
      ...(volumes.length === 0 ? [] : [`Its volumes are empty: ${volumes.join(', ')}`]),
    ].join('\n'),
});

export const appOperations = [list, create, info, url, rename, clone, destroy];
