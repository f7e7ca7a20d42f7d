import { z } from 'zod';
import { findApps } from '../store/apps.ts';
import { findRelease } from '../store/releases.ts';
import { canSee } from './authorize.ts';
import { stateOf } from './describe-app.ts';
import { says } from './input-form.ts';
import { helpOf, helpOfAll } from './help.ts';
import { defineOperation } from './operation.ts';
import type { Operation } from './operation.ts';
import { table } from './table.ts';

const version = defineOperation({
  name: 'version',
  summary: 'Print the version of forge',
  target: 'machine',
  permission: 'anyone',
  isChange: false,
  positionals: [],
  input: z.object({}),
  run: async (_input, { services }) => ({ version: services.version }),
  print: ({ version: text }) => `forge ${text}`,
});

const status = defineOperation({
  name: 'status',
  summary: 'Show what runs: every app with its wanted and running instances',
  target: 'machine',
  permission: 'anyone',
  isChange: false,
  positionals: [],
  input: z.object({}),
  run: async (_input, { session, services }) => {
    const instances = await services.runtime.findInstances();
    const apps = findApps(services.store).filter(({ name }) => canSee(session.actor, name));
    return apps.map((app) => {
      const current = app.currentVersion === undefined || app.isStopped ? undefined : findRelease(services.store, app.name, app.currentVersion);
      const wanted = Object.values({ ...current?.formation, ...(current ? app.formation : {}) }).reduce((sum, { quantity }) => sum + quantity, 0);
      const running = instances.filter((instance) => instance.app === app.name && instance.version === app.currentVersion && instance.isRunning).length;
      return { app: app.name, state: stateOf(app), release: app.currentVersion, running, wanted, url: services.deployer.urlOf(app.name) };
    });
  },
  print: (apps, { style }) => {
    if (apps.length === 0) return 'forge runs. No apps yet: create one with forge apps:create NAME, or push to a name of your choice.';
    const rows = apps.map(({ app, state, release, running, wanted, url }) => [
      app, state, release === undefined ? '–' : `v${release}`, running >= wanted ? style.good(`${running}/${wanted}`) : style.bad(`${running}/${wanted}`), url,
    ]);
    return table(['APP', 'STATE', 'RELEASE', 'UP', 'URL'], rows, style);
  },
});

/** Help over a list that is complete only when everything else is defined. */
export function createHelp(list: () => readonly Operation[], find: (name: string) => Operation): Operation {
  return defineOperation({
    name: 'help',
    summary: 'Show all commands, or one',
    target: 'machine',
    permission: 'anyone',
    isChange: false,
    positionals: ['command'],
    input: z.object({ command: z.string().optional().meta(says('A command, such as ps:scale')) }),
    run: async ({ command }, { style }) => ({ text: command === undefined ? helpOfAll(list(), style) : helpOf(find(command), style) }),
    print: ({ text }) => text,
  });
}

export const machineOperations = [status, version];
