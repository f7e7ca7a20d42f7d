import { z } from 'zod';
import type { ConfigChange } from '../deploy/candidate.ts';
import { ForgeError } from '../errors.ts';
import { parseEnvKey } from '../names.ts';
import { getConfig } from '../store/app-config.ts';
import { applyChange, printApplied } from './apply-change.ts';
import { parseEnvFile } from './env-file.ts';
import { appField, restartField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import type { Context } from './operation.ts';
import { readInput } from './read-input.ts';
import { facts, oneLine } from './table.ts';

const maxImportBytes = 4 * 1024 * 1024;
const keyField = z.string().overwrite(parseEnvKey);

/** One release with all that differs when the turn has come; the same values again change nothing. */
async function change(app: string, changes: ConfigChange, restart: boolean, context: Context) {
  const differingFrom = (now: Readonly<Record<string, string>>) => Object.entries(changes).filter(([key, value]) => (now[key] ?? null) !== value);
  const keysOf = (entries: readonly (readonly [string, unknown])[]) => entries.map(([key]) => key).sort();
  let changed: readonly string[] = [];
  const config = (now: Readonly<Record<string, string>>): ConfigChange => {
    const differing = differingFrom(now);
    changed = keysOf(differing);
    return Object.fromEntries(differing);
  };
  // Named by what differs already, as people know it; all of it when that is nothing, and another change may still make it differ.
  const before = differingFrom(getConfig(context.services.store, app));
  const named = before.length > 0 ? before : Object.entries(changes);
  const reason = `${named.every(([, value]) => value === null) ? 'Unset' : 'Set'} ${keysOf(named).join(', ')}`;
  const applied = await applyChange(app, { change: { config }, reason, restart }, context);
  return { app, changed, applied: applied.pending === 'unchanged' ? undefined : applied };
}

function printChange(verb: string) {
  return ({ app, changed, applied }: Awaited<ReturnType<typeof change>>): string =>
    applied === undefined ? `Nothing changed on ${app}` : `${verb} ${changed.join(', ')}: ${printApplied(app, applied)}`;
}

const list = defineOperation({
  name: 'config:list',
  aliases: ['config'],
  summary: 'Show the config of an app, values included',
  help: 'Control characters in values are shown as escapes; --json prints them exactly, as config:import takes them.',
  target: 'app',
  permission: 'operate',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, { services }) => getConfig(services.store, app),
  print: (config, { style }) => {
    const entries = Object.entries(config);
    if (entries.length === 0) return 'No config yet. Set some: forge config:set APP KEY=VALUE';
    return facts(entries.map(([key, value]) => [key, oneLine(value)]), style);
  },
});

const get = defineOperation({
  name: 'config:get',
  summary: 'Print one value, and nothing else',
  target: 'app',
  permission: 'operate',
  isChange: false,
  positionals: ['app', 'key'],
  input: z.object({ app: appField, key: keyField.meta(says('The variable', { placeholder: 'KEY' })) }),
  run: async ({ app, key }, { services }) => {
    const value = getConfig(services.store, app)[key];
    if (value === undefined) throw new ForgeError('not-found', `${app} has no ${key}`, { hint: `forge config:list ${app} shows what it has` });
    return { key, value };
  },
  print: ({ value }) => value,
});

const set = defineOperation({
  name: 'config:set',
  summary: 'Set variables and restart the app with them',
  help: "forge config:set hello A=1 B='two words'\nEverything after the first = is the value, byte for byte. Secrets that must not stand on a command line: config:import.",
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'values'],
  input: z.object({
    app: appField,
    values: z.record(keyField, z.string()).meta(says('Variables and their values', { placeholder: 'KEY=VALUE' })),
    restart: restartField,
  }),
  audit: ({ values }) => ({ keys: Object.keys(values) }),
  run: async ({ app, values, restart }, context) => await change(app, values, restart, context),
  print: printChange('Set'),
});

const unset = defineOperation({
  name: 'config:unset',
  summary: 'Remove variables and restart the app without them',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'keys'],
  input: z.object({ app: appField, keys: z.array(keyField).min(1).meta(says('The variables', { placeholder: 'KEY' })), restart: restartField }),
  audit: ({ keys }) => ({ keys }),
  run: async ({ app, keys, restart }, context) => await change(app, Object.fromEntries(keys.map((key) => [key, null])), restart, context),
  print: printChange('Unset'),
});

const load = defineOperation({
  name: 'config:import',
  summary: 'Set variables from stdin: a .env file or a JSON object',
  help: 'forge config:import hello < .env\nVariables that the file does not name stay as they are.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  readsStdin: true,
  positionals: ['app'],
  input: z.object({ app: appField, restart: restartField }),
  run: async ({ app, restart }, context) => {
    const text = await readInput(context.session, { maxBytes: maxImportBytes, what: 'the variables, as a .env file or JSON' });
    return await change(app, parseEnvFile(text), restart, context);
  },
  print: printChange('Set'),
});

export const configOperations = [list, get, set, unset, load];
