import { z } from 'zod';
import { ForgeError } from '../errors.ts';
import { parseEnvKey, parseProcessType } from '../names.ts';
import { findJobs } from '../store/jobs.ts';
import type { Store } from '../store/store.ts';
import { describeEnd, jobRow } from './describe-job.ts';
import { appField, limitField } from './fields.ts';
import { says } from './input-form.ts';
import { followField, linesField, showLogs } from './logs.ts';
import { defineOperation } from './operation.ts';
import { oneLine, table } from './table.ts';

const commandField = z.array(z.string()).min(1).meta(says('The command and its arguments', { placeholder: 'COMMAND' }));
const envField = z.record(z.string().overwrite(parseEnvKey), z.string()).default({}).meta(says('A further variable for this command', { short: 'e', placeholder: 'KEY=VALUE' }));
const typeField = z.string().overwrite(parseProcessType).optional().meta(says('Process type whose limits the command has; default web', { placeholder: 'TYPE' }));
/** Of a detached command or a scheduled run. */
const jobField = z.string().regex(/^(run|cron)\.[a-z0-9-]{1,30}$/, 'expected a name such as run.1a2b3c4d or cron.nightly, as run:list and cron:runs show it').meta(says('The command, such as run.1a2b3c4d', { placeholder: 'NAME' }));

/** A week; what has to run for longer is a process of the app. */
const maxTtlSeconds = 7 * 24 * 3600;

const run = defineOperation({
  name: 'run',
  summary: 'Run a command in a fresh instance of an app',
  help: 'forge run hello npm run migrate\nEverything after the app is the command. It has the app’s config, image and network; its exit status is forge’s.\nOver SSH, ssh -t gives it a terminal.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  readsStdin: true,
  hasOwnTerminal: true,
  positionals: ['app', 'command'],
  isCommandLine: true,
  input: z.object({ app: appField, command: commandField, env: envField, type: typeField }),
  // Arguments may hold secrets; the program's name does not.
  audit: ({ command, env }) => ({ program: command[0], env: Object.keys(env) }),
  run: async ({ app, command, env, type }, { session, services }) => ({ status: await services.deployer.runOneOff({ app, argv: command, env, limitsOf: type, session }) }),
  print: () => undefined,
  exitStatus: ({ status }) => status,
});

const detached = defineOperation({
  name: 'run:detached',
  summary: 'Run a command in a fresh instance of an app, without waiting for it',
  help: 'forge run:detached --ttl 600 hello npm run import\nPrints its name, such as run.1a2b3c4d. It goes on whatever happens to you, to forge and to the app’s releases; what it prints is in the app’s log:\nforge run:logs hello run.1a2b3c4d -f',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'command'],
  isCommandLine: true,
  input: z.object({
    app: appField,
    command: commandField,
    env: envField,
    type: typeField,
    ttl: z.int().min(1).max(maxTtlSeconds).optional().meta(says('Stop it after so many seconds; default: the setting jobTimeout', { placeholder: 'SECONDS' })),
  }),
  audit: ({ command, env }) => ({ program: command[0], env: Object.keys(env) }),
  run: async ({ app, command, env, type, ttl }, { session, services: { jobs } }) => {
    const request = { app, entry: undefined, actor: session.actor.name, dueAt: undefined, argv: command, env, limitsOf: type, ttlMs: ttl === undefined ? undefined : ttl * 1000, reader: undefined };
    const { job } = await jobs.claim(request).launch();
    return { app, name: job.name, deadlineAt: job.deadlineAt };
  },
  print: ({ name }) => name,
});

const list = defineOperation({
  name: 'run:list',
  summary: 'Show the detached commands of an app, newest first, and how they ended',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField, limit: limitField('commands', 20) }),
  run: async ({ app, limit }, { services: { store } }) => findJobs(store, { app, entry: null, limit }),
  print: (jobs, { services, style }) => {
    if (jobs.length === 0) return 'No detached commands. Start one: forge run:detached APP COMMAND…';
    const rows = jobs.map((job) => [...jobRow(job, services.store.now(), style), oneLine(job.program)]);
    return table(['NAME', 'BEGAN', 'TOOK', 'RELEASE', 'BY', 'HOW IT WENT', 'PROGRAM'], rows, style);
  },
});

const stop = defineOperation({
  name: 'run:stop',
  summary: 'Stop a detached command or a scheduled run of an app: SIGTERM, then SIGKILL',
  help: 'forge run:stop hello run.1a2b3c4d\nforge run:stop hello cron.nightly',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'name'],
  input: z.object({ app: appField, name: jobField }),
  audit: ({ name }) => ({ name }),
  run: async ({ app, name }, { services: { store, jobs } }) => {
    const running = jobsCalled(store, app, name).filter(({ endedAt }) => endedAt === undefined);
    if (running.length === 0) throw new ForgeError('conflict', `${name} of ${app} does not run any more`, { hint: `forge run:list ${app} and forge cron:runs ${app} show how it ended` });
    return await Promise.all(running.map(({ id }) => jobs.stop(id, 'stopped')));
  },
  print: (stopped, { style }) => stopped.map((job) => `${job.name} of ${job.app}: ${describeEnd(job, style)}`).join('\n'),
});

const logs = defineOperation({
  name: 'run:logs',
  summary: 'Show what a detached command of an app prints',
  help: 'forge run:logs hello run.1a2b3c4d -f\nThe same as forge apps:logs hello -p run.1a2b3c4d; kept after the command has ended.',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app', 'name'],
  input: z.object({ app: appField, name: jobField, lines: linesField, follow: followField }),
  run: async ({ app, name, lines, follow }, context) => {
    jobsCalled(context.services.store, app, name);
    return await showLogs(app, { lines, follow, processes: [name] }, context);
  },
  print: () => undefined,
});

/** Newest first. Throws `not-found` when there never was one. */
function jobsCalled(store: Store, app: string, name: string) {
  const found = findJobs(store, { app }).filter((job) => job.name === name);
  if (found.length > 0) return found;
  throw new ForgeError('not-found', `${app} has no command ${name}`, { hint: `forge run:list ${app} shows the detached ones, forge cron:runs ${app} the scheduled ones` });
}

export const runOperations = [run, detached, list, stop, logs];
