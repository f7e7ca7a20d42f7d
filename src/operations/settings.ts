import { z } from 'zod';
import { type Capability, parseCapabilities, rootCapabilities } from '../capabilities.ts';
import { defaultLimits, minMemoryBytes, parseSize } from '../config.ts';
import type { AppSettings, Formation, Limits } from '../domain.ts';
import { builderNames, strategies } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseBranch, parseEnvKey, parseProcessType } from '../names.ts';
import { getApp } from '../store/apps.ts';
import { findRelease } from '../store/releases.ts';
import { applyChange, printApplied } from './apply-change.ts';
import { appField, restartField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import type { Context } from './operation.ts';

const auto = 'auto';
const nextDeploy = 'it takes effect with the next deploy';

const builder = defineOperation({
  name: 'builder:set',
  summary: 'Choose how an app is built, instead of by what its files are',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'builder'],
  input: z.object({ app: appField, builder: z.enum([auto, ...builderNames.filter((name) => name !== 'image')]).meta(says('auto, dockerfile, static or cnb', { placeholder: 'BUILDER' })) }),
  audit: ({ builder: name }) => ({ builder: name }),
  run: async ({ app, builder: name }, context) => {
    const settings = { builder: name === auto ? undefined : (name as Exclude<AppSettings['builder'], undefined>) };
    await changeSettings(app, { settings, reason: `Set builder ${name}`, restart: false }, context);
    return { app, builder: name };
  },
  print: ({ app, builder: name }) => `${app} is built with ${name === auto ? 'what its files ask for' : name}: ${nextDeploy}`,
});

const buildArgs = defineOperation({
  name: 'build-args:set',
  summary: 'Name the variables that a Dockerfile build gets as build args; none clears the list',
  help: 'forge build-args:set hello NPM_TOKEN SENTRY_RELEASE\nTheir values are the app’s config. A build sees no other variable.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'keys'],
  input: z.object({ app: appField, keys: z.array(z.string().overwrite(parseEnvKey)).default([]).meta(says('Config keys', { placeholder: 'KEY' })) }),
  audit: ({ keys }) => ({ keys }),
  run: async ({ app, keys }, context) => {
    const { settings } = await changeSettings(app, { settings: { buildArgs: [...new Set(keys)] }, reason: 'Set build args', restart: false }, context);
    return { app, buildArgs: settings.buildArgs };
  },
  print: ({ app, buildArgs: keys }) => `${app} builds with ${keys.length === 0 ? 'no build args' : keys.join(', ')}: ${nextDeploy}`,
});

const branch = defineOperation({
  name: 'branch:set',
  summary: 'Choose the branch whose pushes deploy',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'branch'],
  input: z.object({ app: appField, branch: z.string().overwrite(parseBranch).meta(says('A branch')) }),
  audit: ({ branch: name }) => ({ branch: name }),
  run: async ({ app, branch: name }, { services }) => {
    if ((await services.repositories.headBranch(app)) === undefined) {
      throw new ForgeError('conflict', `${app} has no repository yet`, { hint: 'the first branch that is pushed is the one that deploys' });
    }
    await services.repositories.setHeadBranch(app, name);
    return { app, branch: name };
  },
  print: ({ app, branch: name }) => `Pushes of ${name} deploy ${app}`,
});

const ports = defineOperation({
  name: 'ports:set',
  summary: 'Set the port that an app listens on, given to it as PORT',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'port'],
  input: z.object({ app: appField, port: z.string().meta(says('1 to 65535, or auto: what the image exposes, else 5000', { placeholder: 'PORT' })), restart: restartField }),
  audit: ({ port }) => ({ port }),
  run: async ({ app, port, restart }, context) => {
    const isNumber = /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535;
    if (port !== auto && !isNumber) throw new ForgeError('invalid', `${JSON.stringify(port.slice(0, 20))} is no port: expected 1 to 65535, or auto`);
    return await changeSettings(app, { settings: { port: port === auto ? undefined : Number(port) }, reason: `Set port ${port}`, restart }, context);
  },
  print: ({ app, applied }) => `Port set: ${printApplied(app, applied)}`,
});

const limits = defineOperation({
  name: 'limits:set',
  summary: 'Set memory, CPU weight and process limit of a process type',
  help: 'forge limits:set hello web --memory 1G --cpu 2048',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'type'],
  input: z.object({
    app: appField,
    type: z.string().overwrite(parseProcessType).meta(says('A process type such as web')),
    memory: z.string().optional().meta(says('Memory: 256M, 1G, …', { placeholder: 'SIZE' })),
    cpu: z.int().min(2).max(262_144).optional().meta(says('CPU weight beside other instances; 1024 is the usual share', { placeholder: 'SHARES' })),
    pids: z.int().min(16).max(100_000).optional().meta(says('Processes and threads', { placeholder: 'N' })),
    restart: restartField,
  }),
  audit: ({ type, memory, cpu, pids }) => ({ type, memory, cpu, pids }),
  run: async ({ app, type, restart, ...wanted }, context) => {
    const asked = readLimits(wanted);
    let limits = defaultLimits(context.services.config);
    // In the turn: a scale that was before this one keeps its quantity.
    const formation = (now: Formation): Formation => {
      const entry = (Object.hasOwn(now, type) ? now[type] : undefined) ?? { quantity: liveQuantity(app, type, context), limits: defaultLimits(context.services.config) };
      limits = { ...entry.limits, ...asked };
      return { [type]: { ...entry, limits } };
    };
    const applied = await applyChange(app, { change: { formation }, reason: `Set limits of ${type}`, restart }, context);
    return { app, type, limits, applied };
  },
  print: ({ app, applied }) => `Limits set: ${printApplied(app, applied)}`,
});

interface SettingsChange {
  readonly settings: Partial<AppSettings>;
  readonly reason: string;
  readonly restart: boolean;
}

async function changeSettings(app: string, { settings, ...wish }: SettingsChange, context: Context) {
  const applied = await applyChange(app, { change: { settings }, ...wish }, context);
  return { app, settings: getApp(context.services.store, app).settings, applied };
}

function readLimits({ memory, cpu, pids }: { readonly memory?: string | undefined; readonly cpu?: number | undefined; readonly pids?: number | undefined }): Partial<Limits> {
  if (memory === undefined && cpu === undefined && pids === undefined) throw new ForgeError('invalid', 'nothing to set: give --memory, --cpu or --pids');
  const bytes = memory === undefined ? undefined : parseSize(memory);
  if (memory !== undefined && (bytes === undefined || bytes < minMemoryBytes)) {
    throw new ForgeError('invalid', `--memory: expected a size of at least 6M, such as 512M, found ${JSON.stringify(memory.slice(0, 20))}`);
  }
  return { ...(bytes === undefined ? {} : { memoryBytes: bytes }), ...(cpu === undefined ? {} : { cpuShares: cpu }), ...(pids === undefined ? {} : { pids }) };
}

/** As many as run now: a limit must not change how many there are. */
function liveQuantity(app: string, type: string, { services: { store } }: Context): number {
  const version = getApp(store, app).currentVersion;
  const release = version === undefined ? undefined : findRelease(store, app, version);
  return release?.formation[type]?.quantity ?? (type === 'web' ? 1 : 0);
}

const strategy = defineOperation({
  name: 'strategy:set',
  summary: 'Choose whether new instances start beside the old ones, or after them',
  help: 'forge strategy:set hello recreate\nswap: new beside old, then one switch; no request is lost.\nrecreate: the old ones end first, for apps of which two must never write to one volume; requests wait or fail meanwhile.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'strategy'],
  input: z.object({ app: appField, strategy: z.enum(strategies).meta(says('swap or recreate', { placeholder: 'STRATEGY' })) }),
  audit: ({ strategy: name }) => ({ strategy: name }),
  // Nothing restarts for it: it says how the next ones start.
  run: async ({ app, strategy: name }, context) => await changeSettings(app, { settings: { strategy: name }, reason: `Set strategy ${name}`, restart: false }, context),
  print: ({ app, settings }) => `From its next release on, ${app} ${settings.strategy === 'swap' ? 'starts new instances beside the old ones' : 'ends its old instances before it starts new ones'}`,
});

const none = 'none';
const capabilitiesHelp = `One or several of ${rootCapabilities.join(' ')}, or ${auto} (all of these) or ${none}`;

const caps = defineOperation({
  name: 'caps:set',
  summary: 'Choose which Linux capabilities an app keeps whose image runs as root',
  help: `forge caps:set hello NET_BIND_SERVICE\nforge caps:set hello none\n${capabilitiesHelp}. No app ever gets others, and an image that does not run as root gets none.`,
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'capabilities'],
  input: z.object({ app: appField, capabilities: z.array(z.string()).min(1).meta(says(capabilitiesHelp, { placeholder: 'CAPABILITY' })), restart: restartField }),
  audit: ({ capabilities }) => ({ capabilities }),
  run: async ({ app, capabilities: words, restart }, context) => await changeSettings(app, { settings: { capabilities: readCapabilities(words) }, reason: `Set capabilities ${words.join(' ')}`, restart }, context),
  print: ({ app, settings, applied }) => `Capabilities set to ${settings.capabilities === undefined ? 'all that forge allows' : settings.capabilities.join(' ') || none}: ${printApplied(app, applied)}`,
});

function readCapabilities(words: readonly string[]): readonly Capability[] | undefined {
  const [word] = words;
  if (words.length === 1 && word === auto) return undefined;
  return words.length === 1 && word === none ? [] : parseCapabilities(words);
}

export const settingOperations = [builder, buildArgs, branch, ports, limits, strategy, caps];
