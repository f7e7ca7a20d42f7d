import { z } from 'zod';
import type { Formation, Instance } from '../domain.ts';
import { parseProcessType } from '../names.ts';
import { getApp } from '../store/apps.ts';
import { findRelease } from '../store/releases.ts';
import { stateOf } from './describe-app.ts';
import { appField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import type { Context } from './operation.ts';
import { table } from './table.ts';

const maxInstances = 100;

/** The formation that the app wants: what was scaled, else what the live release has. */
function wantedFormation(name: string, { services }: Context): Formation {
  const app = getApp(services.store, name);
  const release = app.currentVersion === undefined ? undefined : findRelease(services.store, name, app.currentVersion);
  return { ...release?.formation, ...app.formation };
}

const changeRequest = (app: string, { session, progress }: Context) => ({ app, actor: session.actor, output: progress, signal: session.signal });

const list = defineOperation({
  name: 'ps:list',
  aliases: ['ps'],
  summary: 'Show the running instances of an app',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, context) => {
    const instances = await context.services.runtime.findInstances(app);
    const rows = instances.map(({ name, type, version, isRunning, containerId, address }: Instance) => ({ name, type, release: version, isRunning, containerId, address }));
    return { app, state: stateOf(getApp(context.services.store, app)), wanted: quantities(wantedFormation(app, context)), instances: rows.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })) };
  },
  print: ({ app, state, wanted, instances }, { style }) => {
    if (instances.length === 0) {
      if (state === 'never deployed') return `Nothing runs: ${app} was never deployed. Push its code: git push forge main`;
      return state === 'stopped' ? `Nothing runs: ${app} is stopped. Start it: forge ps:start ${app}` : `Nothing runs. Scale it up: forge ps:scale ${app} web=1`;
    }
    const rows = instances.map(({ name, release, isRunning, containerId }) => [name, `v${release}`, isRunning ? style.good('running') : style.bad('down'), containerId.slice(0, 12)]);
    return `${table(['INSTANCE', 'RELEASE', 'STATE', 'CONTAINER'], rows, style)}\nWanted: ${printQuantities(wanted)}`;
  },
});

const scale = defineOperation({
  name: 'ps:scale',
  summary: 'Set how many instances of each process type run, or show it',
  help: 'forge ps:scale hello web=2 worker=1\nTypes that are not named stay as they are; 0 stops a type.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'quantities'],
  input: z.object({
    app: appField,
    quantities: z.record(z.string().overwrite(parseProcessType), z.int().min(0).max(maxInstances)).default({}).meta(says('Process types and their instances', { placeholder: 'TYPE=N' })),
  }),
  audit: ({ quantities: changes }) => ({ changes }),
  run: async ({ app, quantities: changes }, context) => {
    const formation = Object.keys(changes).length === 0 ? wantedFormation(app, context) : await context.services.deployer.scale({ ...changeRequest(app, context), changes });
    return { app, formation: quantities(formation) };
  },
  print: ({ app, formation }) => (Object.keys(formation).length === 0 ? `${app} has no process types yet: they come with the first deploy` : `${app}: ${printQuantities(formation)}`),
});

const restart = defineOperation({
  name: 'ps:restart',
  summary: 'Replace the instances of an app by fresh ones, without losing a request',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, context) => {
    await context.services.deployer.restart(changeRequest(app, context));
    return { app };
  },
  print: ({ app }) => `Restarted ${app}`,
});

const stop = defineOperation({
  name: 'ps:stop',
  summary: 'Stop an app; it answers 503 until ps:start',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, context) => {
    await context.services.deployer.stop(changeRequest(app, context));
    return { app };
  },
  print: ({ app }) => `Stopped ${app}. Start it again: forge ps:start ${app}`,
});

const start = defineOperation({
  name: 'ps:start',
  summary: 'Start an app that was stopped',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, context) => {
    await context.services.deployer.start(changeRequest(app, context));
    return { app, url: context.services.deployer.urlOf(app) };
  },
  print: ({ app, url }) => `Started ${app}: ${url}`,
});

const quantities = (formation: Formation): Record<string, number> => Object.fromEntries(Object.entries(formation).map(([type, { quantity }]) => [type, quantity]));

const printQuantities = (wanted: Readonly<Record<string, number>>): string =>
  Object.entries(wanted)
    .map(([type, quantity]) => `${type}=${quantity}`)
    .join(' ');

export const processOperations = [list, scale, restart, stop, start];
