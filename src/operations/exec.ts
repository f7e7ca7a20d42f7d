import { z } from 'zod';
import type { Instance } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { getApp } from '../store/apps.ts';
import { findRelease } from '../store/releases.ts';
import { appField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation, type Context } from './operation.ts';

/** Every image that has a shell has it under this name. */
const shell = ['sh'];

const exec = defineOperation({
  name: 'ps:exec',
  aliases: ['enter'],
  summary: 'Run a command, or a shell, in a running instance of an app',
  help: 'forge ps:exec hello                       a shell in web.1 (over SSH: ssh -t)\nforge ps:exec hello worker.1 ps aux\nforge ps:exec hello cat /etc/os-release\nThe command ends when you leave. What it changes is gone with the instance; forge run gives a fresh one.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  readsStdin: true,
  hasOwnTerminal: true,
  positionals: ['app', 'command'],
  isCommandLine: true,
  input: z.object({ app: appField, command: z.array(z.string()).default([]).meta(says('An instance such as web.1 first, if it is to be another, then the command', { placeholder: '[INSTANCE] COMMAND' })) }),
  audit: ({ command }) => ({ program: command[0] }),
  run: async ({ app, command }, context) => {
    const { session, services } = context;
    const instances = await runningInstances(app, context);
    const [first = '', ...rest] = command;
    const isNamed = /^[a-z][a-z0-9-]*\.\d+$/.test(first) || instances.some(({ type }) => type === first);
    const instance = isNamed ? namedInstance(instances, first, app) : firstInstance(instances, app);
    const words = isNamed ? rest : command;
    const launcher = findRelease(services.store, app, instance.version)?.image.launcher;
    return { status: await services.runtime.enter({ ...session, instance, launcher, argv: words.length === 0 ? shell : words }) };
  },
  print: () => undefined,
  exitStatus: ({ status }) => status,
});

/** Of the live release first: while a deploy goes on there are two of each. */
async function runningInstances(app: string, { services }: Context): Promise<readonly Instance[]> {
  const { currentVersion } = getApp(services.store, app);
  const found = (await services.runtime.findInstances(app)).filter(({ isRunning }) => isRunning);
  return found.toSorted((a, b) => Number(b.version === currentVersion) - Number(a.version === currentVersion) || a.ordinal - b.ordinal);
}

function namedInstance(instances: readonly Instance[], wanted: string, app: string): Instance {
  const found = instances.find(({ name, type }) => name === wanted || type === wanted);
  if (found) return found;
  const names = instances.map(({ name }) => name).sort();
  throw new ForgeError('not-found', `${app} has no instance ${wanted} that runs`, { hint: names.length === 0 ? `nothing of it runs: forge ps:list ${app}` : `its instances: ${[...new Set(names)].join(', ')}` });
}

function firstInstance(instances: readonly Instance[], app: string): Instance {
  const found = instances.find(({ type }) => type === 'web') ?? instances[0];
  if (!found) throw new ForgeError('conflict', `nothing of ${app} runs`, { hint: `forge ps:list ${app} says why; forge run ${app} starts a fresh instance for a command` });
  return found;
}

export const execOperations = [exec];
