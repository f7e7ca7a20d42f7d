import { z } from 'zod';
import type { CronEntry } from '../app-file.ts';
import { createSchedule } from '../cron/schedule.ts';
import { ForgeError } from '../errors.ts';
import { parseProcessType } from '../names.ts';
import { getApp } from '../store/apps.ts';
import { findSuspensions, resumeCron, suspendCron } from '../store/cron.ts';
import { findJobs, findLastRuns } from '../store/jobs.ts';
import { findCurrentRelease } from '../store/releases.ts';
import type { Store } from '../store/store.ts';
import { untilAborted } from '../wait.ts';
import { describeEnd, jobRow } from './describe-job.ts';
import { relativeTime } from './durations.ts';
import { appField, limitField } from './fields.ts';
import { says } from './input-form.ts';
import { untilInterrupted } from './interrupt.ts';
import { defineOperation } from './operation.ts';
import { oneLine, table } from './table.ts';

const nameField = z.string().overwrite(parseProcessType).meta(says('Name of the schedule, as cron:list shows it', { placeholder: 'NAME' }));

const entriesOf = (store: Store, app: string): readonly CronEntry[] => findCurrentRelease(store, app)?.appFile.cron ?? [];

/** Throws `not-found` for a name that the live release does not have. */
function requireEntry(store: Store, app: string, name: string): void {
  const names = entriesOf(store, app).map((entry) => entry.name);
  if (names.includes(name)) return;
  throw new ForgeError('not-found', `${app} has no schedule ${JSON.stringify(name)}`, { hint: names.length === 0 ? 'app.json of its live release has no cron' : `its schedules: ${names.join(', ')}` });
}

const list = defineOperation({
  name: 'cron:list',
  aliases: ['cron'],
  summary: 'Show the schedules of an app, when they run next and how they ended last',
  help: 'Schedules stand in the app.json of the code: "cron": [{ "name": "nightly", "schedule": "30 4 * * *", "command": "node report.js" }]',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, { services: { store } }) => {
    const { isStopped } = getApp(store, app);
    const suspended = findSuspensions(store).get(app);
    const lasts = findLastRuns(store, app);
    return entriesOf(store, app).map(({ name, argv, schedule, timeZone, concurrencyPolicy, isSuspended }) => {
      const suspendedBy = isSuspended ? 'app.json' : suspended?.isAll === true || suspended?.entries.has(name) === true ? 'cron:suspend' : undefined;
      const next = isStopped || suspendedBy !== undefined ? undefined : createSchedule(schedule, timeZone).next(store.now())?.toISOString();
      return { name, schedule, timeZone, command: argv, concurrencyPolicy, isAppStopped: isStopped, suspendedBy, next, last: lasts.get(name) };
    });
  },
  print: (entries, { services, style }) => {
    if (entries.length === 0) return 'No schedules: they stand in the app.json of the code, under "cron"';
    const now = services.store.now();
    const rows = entries.map(({ name, schedule, timeZone, isAppStopped, suspendedBy, next, last, command }) => [
      name,
      timeZone === 'UTC' ? schedule : `${schedule} (${timeZone})`,
      next === undefined ? (isAppStopped ? 'the app is stopped' : suspendedBy === undefined ? 'never' : `suspended by ${suspendedBy}`) : relativeTime(next, now),
      last === undefined ? 'never' : `${relativeTime(last.createdAt, now)}: ${describeEnd(last, style)}`,
      oneLine(command.join(' ')),
    ]);
    return table(['NAME', 'SCHEDULE', 'NEXT', 'LAST RUN', 'COMMAND'], rows, style);
  },
});

const runs = defineOperation({
  name: 'cron:runs',
  summary: 'Show how the runs of an app’s schedules went, newest first',
  help: 'forge cron:runs hello nightly\nWhat they printed: forge apps:logs hello -p cron.nightly',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app', 'name'],
  input: z.object({ app: appField, name: nameField.optional(), limit: limitField('runs', 20) }),
  run: async ({ app, name, limit }, { services: { store } }) => {
    const found = findJobs(store, { app, ...(name === undefined ? {} : { entry: name }) });
    return found.filter(({ entry }) => entry !== undefined).slice(0, limit);
  },
  print: (found, { services, style }) => (found.length === 0 ? 'No runs yet' : table(['RUN', 'BEGAN', 'TOOK', 'RELEASE', 'BY', 'HOW IT WENT'], found.map((job) => jobRow(job, services.store.now(), style)), style)),
});

const run = defineOperation({
  name: 'cron:run',
  summary: 'Run what a schedule runs, now, and show what it prints',
  help: 'forge cron:run hello nightly\nIts exit status is forge’s. The run goes on when you leave: forge run:stop hello cron.nightly ends it.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'name'],
  input: z.object({ app: appField, name: nameField }),
  audit: ({ name }) => ({ name }),
  run: async ({ app, name }, { session, services: { cron }, isJson }) => {
    using signal = untilInterrupted(session, true);
    const reader = { stdout: isJson ? session.stderr : session.stdout, stderr: session.stderr, signal };
    const { isRead, ended } = await cron.runNow({ app, entry: name, actor: session.actor.name, reader });
    await untilAborted(isRead, signal);
    return await untilAborted(ended, signal);
  },
  print: (job) => (job.outcome === 'succeeded' || job.outcome === 'failed' ? undefined : `cron.${job.entry ?? ''} was ${job.outcome ?? 'left running'}`),
  exitStatus: ({ outcome, status }) => (outcome === 'succeeded' ? 0 : status || 1),
});

const suspend = defineOperation({
  name: 'cron:suspend',
  summary: 'Stop following a schedule of an app, or all of them; deploys do not change that',
  help: 'forge cron:suspend hello nightly\nforge cron:suspend hello\nWhat runs already goes on. cron:run still runs it by hand.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'name'],
  input: z.object({ app: appField, name: nameField.optional() }),
  audit: ({ name }) => ({ name }),
  run: async ({ app, name }, { services: { store } }) => {
    if (name !== undefined) requireEntry(store, app, name);
    suspendCron(store, app, name);
    return { app, name };
  },
  print: ({ app, name }) => `Suspended ${name === undefined ? 'all schedules' : name} of ${app}. Go on with: forge cron:resume ${[app, name].filter(Boolean).join(' ')}`,
});

const resume = defineOperation({
  name: 'cron:resume',
  summary: 'Follow a suspended schedule of an app again, or all of them',
  help: 'What came due meanwhile is not made up for.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'name'],
  input: z.object({ app: appField, name: nameField.optional() }),
  audit: ({ name }) => ({ name }),
  run: async ({ app, name }, { services: { store } }) => {
    if (name !== undefined) {
      requireEntry(store, app, name);
      if (findSuspensions(store).get(app)?.isAll === true) throw new ForgeError('conflict', `all schedules of ${app} are suspended`, { hint: `forge cron:resume ${app} resumes them; then suspend what you want suspended` });
    }
    resumeCron(store, app, name);
    const stillSuspended = entriesOf(store, app).filter((entry) => entry.isSuspended && (name === undefined || entry.name === name)).map((entry) => entry.name);
    return { app, name, stillSuspended };
  },
  print: ({ app, name, stillSuspended }) => {
    const rest = stillSuspended.length === 0 ? '' : `\nSuspended by app.json, which a deploy changes: ${stillSuspended.join(', ')}`;
    return `Resumed ${name === undefined ? 'all schedules' : name} of ${app}${rest}`;
  },
});

export const cronOperations = [list, runs, run, suspend, resume];
