import { z } from 'zod';
import { checkKinds, emptyAppFile, type Check } from '../app-file.ts';
import type { AppSettings, Instance, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseProcessType } from '../names.ts';
import { effectiveChecks, isSkip, plainCheck, servingType, type EffectiveCheck } from '../runtime/checks.ts';
import { nameOf, patienceOf, questionOf } from '../runtime/describe-check.ts';
import { getApp } from '../store/apps.ts';
import { findCurrentRelease } from '../store/releases.ts';
import { applyChange, printApplied } from './apply-change.ts';
import { changedChecks, type WantedCheck } from './changed-checks.ts';
import { appField, restartField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import type { Context } from './operation.ts';
import { table } from './table.ts';

const seconds = (description: string, least = 1) => z.int().min(least).max(86_400).optional().meta(says(description, { placeholder: 'SECONDS' }));
const ms = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000);
const typesField = z.array(z.string().overwrite(parseProcessType)).default([]).meta(says('Process types; without any, all of them', { placeholder: 'TYPE' }));

const show = defineOperation({
  name: 'checks:show',
  aliases: ['checks'],
  summary: 'Show what is asked of an app’s instances, and who said so',
  help: 'forge checks:show hello\nset: by checks:set; app.json: by the app’s own file; default: nobody said anything.',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app: name }, { services }) => {
    const app = getApp(services.store, name);
    const release = findCurrentRelease(services.store, name);
    const types = typesOf(app.settings, release).map((type) => ({
      type,
      isOff: app.settings.uncheckedTypes.includes(type),
      checks: effectiveChecks(asked(app.settings, release), type, services.config).map(({ check, origin }) => ({ ...check, origin, asks: questionOf(check, release?.port) })),
    }));
    return { app: name, types };
  },
  print: ({ types }, { style }) => {
    const rows = types.flatMap(({ type, isOff, checks }) => {
      if (isOff) return [[type, 'off', 'nothing: old instances stop before new ones start', '', 'set']];
      return checks.map((check) => [type, isSkip(check) ? 'skipped' : check.kind, nameOf(check, undefined), patienceOf(check), check.origin]);
    });
    return table(['TYPE', 'KIND', 'ASKS', 'PATIENCE', 'FROM'], rows, style);
  },
});

const set = defineOperation({
  name: 'checks:set',
  summary: 'Set how forge tells that instances are ready or alive, and how long old ones may take to leave',
  help: [
    'forge checks:set hello --path /healthz --content ok --timeout 120',
    'forge checks:set hello --type worker --command "node ready.js"',
    'forge checks:set hello --kind liveness --path /alive --attempts 3 --wait 10',
    'forge checks:set hello --reset',
    'A new instance serves once it passes its startup and readiness checks. One that fails its liveness check as often in a row as it has attempts is replaced.',
  ].join('\n'),
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app'],
  input: z.object({
    app: appField,
    type: z.string().overwrite(parseProcessType).default(servingType).meta(says('The process type; default web')),
    kind: z.enum(checkKinds).default('startup').meta(says('startup, readiness or liveness; default startup')),
    name: z.string().min(1).max(100).optional().meta(says('Tells several checks of one kind apart')),
    path: z.string().regex(/^\/[\x21-\x7e]{0,500}$/, 'expected a path that begins with /').optional().meta(says('A path that must answer 2xx or 3xx', { placeholder: '/PATH' })),
    status: z.int().min(100).max(599).optional().meta(says('The one status that it must answer', { placeholder: 'N' })),
    content: z.string().min(1).max(1000).optional().meta(says('Text that the answer must contain')),
    tcp: z.boolean().default(false).meta(says('A connection to the port is enough')),
    command: z.string().min(1).max(4000).optional().meta(says('A command in the instance that must end with status 0: words between blanks, or a JSON array', { placeholder: 'COMMAND' })),
    uptime: seconds('Staying up for so long is enough'),
    port: z.int().min(1).max(65_535).optional().meta(says('Another port than the app’s')),
    timeout: seconds('How long a new instance may take until it is ready'),
    attempts: z.int().min(1).max(10_000).optional().meta(says('Instead of --timeout: a start may take attempts × wait; liveness may fail so often', { placeholder: 'N' })),
    wait: seconds('Time of one attempt', 0),
    answerTimeout: seconds('How long one answer may take; default 5'),
    initialDelay: seconds('Ask nothing for so long', 0),
    reset: z.boolean().default(false).meta(says('Forget what was set for the type')),
    drainTimeout: seconds('How long requests may take to finish on an old instance'),
    stopTimeout: seconds('Time between SIGTERM and SIGKILL'),
    websocketGrace: seconds('How long WebSockets of an old instance live on until they get a close frame', 0),
    restart: restartField,
  }),
  // Text and commands are the app's own affair.
  audit: ({ app: _app, restart: _restart, content, command, ...changes }) => ({ ...changes, ...(content === undefined ? {} : { content: true }), ...(command === undefined ? {} : { command: true }) }),
  run: async (input, context) => {
    const { app, type, restart } = input;
    const settings = { ...leaving(input), ...checksSetting(input, context) };
    if (Object.keys(settings).length === 0) throw new ForgeError('invalid', 'nothing to set: say what is asked, how long it may take, or --reset', { hint: 'forge checks:set --help' });
    const applied = await applyChange(app, { change: { settings }, reason: settings.checks ? `Set checks of ${type}` : 'Set how instances leave', restart }, context);
    return { app, type, checks: getApp(context.services.store, app).settings.checks[type] ?? [], applied };
  },
  print: ({ app, applied }) => `Checks set: ${printApplied(app, applied)}`,
});

/** Settings for how old instances leave. */
const leaving = ({ drainTimeout, stopTimeout, websocketGrace }: { readonly drainTimeout?: number | undefined; readonly stopTimeout?: number | undefined; readonly websocketGrace?: number | undefined }): Partial<AppSettings> => ({
  ...(drainTimeout === undefined ? {} : { drainTimeoutMs: drainTimeout * 1000 }),
  ...(stopTimeout === undefined ? {} : { stopTimeoutMs: stopTimeout * 1000 }),
  ...(websocketGrace === undefined ? {} : { webSocketGraceMs: websocketGrace * 1000 }),
});

interface SetInput extends Pick<WantedCheck, 'kind'> {
  readonly app: string;
  readonly type: string;
  readonly name?: string | undefined;
  readonly path?: string | undefined;
  readonly status?: number | undefined;
  readonly content?: string | undefined;
  readonly tcp: boolean;
  readonly command?: string | undefined;
  readonly uptime?: number | undefined;
  readonly port?: number | undefined;
  readonly timeout?: number | undefined;
  readonly attempts?: number | undefined;
  readonly wait?: number | undefined;
  readonly answerTimeout?: number | undefined;
  readonly initialDelay?: number | undefined;
  readonly reset: boolean;
}

/** The setting of checks, when the input says anything about them. */
function checksSetting(input: SetInput, { services }: Context): Pick<AppSettings, 'checks'> | undefined {
  const { app, type, kind, name, path, status, content, tcp, command, uptime, port, timeout, attempts, wait, answerTimeout, initialDelay, reset } = input;
  const { settings } = getApp(services.store, app);
  const says = [path, status, content, command, uptime, port, timeout, attempts, wait, answerTimeout, initialDelay].some((value) => value !== undefined) || tcp;
  if (!says && !reset) return undefined;
  const before: readonly Check[] = reset ? [] : own(settings, type);
  if (!says) return { checks: withType(settings, type, before) };
  const wanted: WantedCheck = {
    ...{ kind, name, path, content, status, port, attempts },
    ...{ isTcp: tcp, argv: command === undefined ? undefined : wordsOf(command), uptimeMs: ms(uptime), waitMs: ms(wait), withinMs: ms(timeout), answerMs: ms(answerTimeout), initialDelayMs: ms(initialDelay) },
  };
  const now = { ...settings, checks: withType(settings, type, before) };
  const effective = effectiveChecks(asked(now, findCurrentRelease(services.store, app)), type, services.config).map(({ check }) => check);
  return { checks: withType(settings, type, changedChecks({ set: before, effective, wanted, readinessTimeoutMs: services.config.readinessTimeout })) };
}

/** `pg_isready -q`, or `["sh", "-c", "test -f /tmp/ready"]`. Throws `invalid`. */
function wordsOf(command: string): readonly string[] {
  if (!command.trimStart().startsWith('[')) return command.trim().split(/\s+/);
  try {
    return z.array(z.string()).min(1).parse(JSON.parse(command));
  } catch (error) {
    throw new ForgeError('invalid', '--command: expected words, or a JSON array of words', { cause: error, hint: `such as --command '["sh", "-c", "test -f /tmp/ready"]'` });
  }
}

const run = defineOperation({
  name: 'checks:run',
  summary: 'Ask the running instances their checks now',
  help: 'forge checks:run hello\nEnds with status 1 when an instance does not pass. Nothing is replaced.',
  target: 'app',
  permission: 'operate',
  // Commands of the app may run.
  isChange: true,
  positionals: ['app', 'types'],
  input: z.object({ app: appField, types: typesField }),
  audit: ({ types }) => ({ types }),
  run: async ({ app, types }, context) => {
    const { services } = context;
    const release = findCurrentRelease(services.store, app);
    const found = release ? await services.runtime.findInstances(app) : [];
    const instances = found.filter(({ version, type }) => version === release?.version && (types.length === 0 || types.includes(type)));
    if (!release || instances.length === 0) throw new ForgeError('conflict', `no instance of ${app} runs`, { hint: `forge ps:list ${app} shows why` });
    const results = await Promise.all(instances.flatMap((instance) => effectiveChecks(release, instance.type, services.config).map((check) => ask({ instance, release, check }, context))));
    return { app, results };
  },
  print: ({ results }, { style }) => {
    const rows = results.map(({ instance, kind, asks, problem, tookMs }) => [instance, kind, asks, problem === undefined ? style.good('passes') : style.bad(problem), `${tookMs} ms`]);
    return table(['INSTANCE', 'KIND', 'ASKS', 'ANSWER', 'TOOK'], rows, style);
  },
  exitStatus: ({ results }) => (results.some(({ problem }) => problem !== undefined) ? 1 : 0),
});

async function ask({ instance, release, check: { check, origin } }: { readonly instance: Instance; readonly release: Release; readonly check: EffectiveCheck }, { services, session }: Context) {
  const startedAt = performance.now();
  const problem = instance.isRunning ? await services.runtime.createAsk(instance, release, check)(session.signal) : 'it does not run';
  return { instance: instance.name, kind: check.kind, asks: nameOf(check, release.port), origin, problem, tookMs: Math.round(performance.now() - startedAt) };
}

const change = { target: 'app', permission: 'operate', isChange: true, positionals: ['app', 'types'], input: z.object({ app: appField, types: typesField, restart: restartField }) } as const;

const disable = defineOperation({
  ...change,
  name: 'checks:disable',
  summary: 'Wait for no check, and stop old instances before new ones start',
  help: 'forge checks:disable hello worker\nFor process types of which two must never run at one time. Visitors of web see 503 meanwhile. Liveness is not asked either.',
  audit: ({ types }) => ({ types }),
  run: async ({ app, types, restart }, context) =>
    await changeTypes({ app, types, restart, verb: 'Disable' }, context, (settings, chosen) => ({ uncheckedTypes: [...new Set([...settings.uncheckedTypes, ...chosen])] })),
  print: ({ app, types, applied }) => `Checks of ${types.join(', ')} are off: ${printApplied(app, applied)}`,
});

const enable = defineOperation({
  ...change,
  name: 'checks:enable',
  summary: 'Wait for checks again, after checks:disable or checks:skip',
  help: 'forge checks:enable hello',
  audit: ({ types }) => ({ types }),
  run: async ({ app, types, restart }, context) =>
    await changeTypes({ app, types, restart, verb: 'Enable' }, context, (settings, chosen) => ({
      uncheckedTypes: settings.uncheckedTypes.filter((type) => !chosen.includes(type)),
      checks: withTypes(settings, chosen, (set) => set.filter((check) => !isSkip(check))),
    })),
  print: ({ app, types, applied }) => `Checks of ${types.join(', ')} are on: ${printApplied(app, applied)}`,
});

const skip = defineOperation({
  ...change,
  name: 'checks:skip',
  summary: 'Let new instances serve as soon as they have started, without waiting for a check',
  help: 'forge checks:skip hello worker\nNew instances still start beside the old ones. A web that listens late answers 502 until it does.',
  audit: ({ types }) => ({ types }),
  run: async ({ app, types, restart }, context) =>
    await changeTypes({ app, types, restart, verb: 'Skip' }, context, (settings, chosen) => ({
      checks: withTypes(settings, chosen, (set) => [...set.filter(({ kind }) => kind === 'liveness'), plainCheck({ kind: 'uptime', uptimeMs: 0 }, 0)]),
    })),
  print: ({ app, types, applied }) => `Nothing waits for the checks of ${types.join(', ')}: ${printApplied(app, applied)}`,
});

interface TypesChange {
  readonly app: string;
  readonly types: readonly string[];
  readonly restart: boolean;
  readonly verb: string;
}

async function changeTypes({ app, types, restart, verb }: TypesChange, context: Context, decide: (settings: AppSettings, types: readonly string[]) => Partial<AppSettings>) {
  const { settings } = getApp(context.services.store, app);
  const chosen = types.length > 0 ? types : typesOf(settings, findCurrentRelease(context.services.store, app));
  const applied = await applyChange(app, { change: { settings: (now) => decide(now, chosen) }, reason: `${verb} checks of ${chosen.join(', ')}`, restart }, context);
  return { app, types: chosen, applied };
}

const own = ({ checks }: AppSettings, type: string): readonly Check[] => (Object.hasOwn(checks, type) ? (checks[type] ?? []) : []);

const withTypes = (settings: AppSettings, types: readonly string[], edit: (set: readonly Check[]) => readonly Check[]): AppSettings['checks'] =>
  types.reduce<AppSettings['checks']>((checks, type) => withType({ ...settings, checks }, type, edit(own(settings, type))), settings.checks);

/** A type without any is left out. */
const withType = ({ checks }: AppSettings, type: string, list: readonly Check[]): AppSettings['checks'] =>
  Object.fromEntries([...Object.entries(checks).filter(([other]) => other !== type), ...(list.length === 0 ? [] : [[type, list] as const])]);

/** The app's settings as they are now, with the files of the code that serves. */
const asked = (settings: AppSettings, release: Release | undefined): Pick<Release, 'settings' | 'appFile'> => ({ settings, appFile: release?.appFile ?? emptyAppFile });

/** Types that have, or could have, checks. */
function typesOf(settings: AppSettings, release: Release | undefined): readonly string[] {
  const known = release ? Object.keys(release.image.processTypes) : [servingType];
  return [...new Set([...known, ...Object.keys(settings.checks), ...settings.uncheckedTypes])];
}

export const checkOperations = [show, set, run, disable, enable, skip];
