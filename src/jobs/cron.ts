/** Runs what the schedules of live releases ask for, at most once for each time, whatever clock and machine do. */
import type { CronEntry } from '../app-file.ts';
import type { Due } from '../cron/due.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { getApp } from '../store/apps.ts';
import { deleteCronMark, findCronMarks, findScheduledEntries, findSuspensions, isScheduled, putCronMark, type CronMark, type ScheduledEntry } from '../store/cron.ts';
import { findUnfinishedJobs, recordUnrun, type Job } from '../store/jobs.ts';
import { findCurrentRelease } from '../store/releases.ts';
import { inTransaction, type Store } from '../store/store.ts';
import { inSlices } from './in-slices.ts';
import type { ClaimedJob, JobRequest, Jobs, StartedJob } from './jobs.ts';
import { whyNoRoom, type RoomLimits } from './room.ts';
import { createTimetable, type Timetable } from './timetable.ts';

export interface Cron {
  /** Begins what is due now. What cannot begin is recorded and does not stop the rest. Rejects with the signal's reason. */
  tick(signal: AbortSignal): Promise<void>;
  /** Begins one now. Throws `not-found` for an entry that the live release does not have, `conflict` when it runs and may not twice, or when as many run as may. */
  runNow(request: RunNow): Promise<StartedJob>;
}

export interface RunNow {
  readonly app: string;
  readonly entry: string;
  readonly actor: string;
  readonly reader: JobRequest['reader'];
}

export interface CronParts {
  readonly store: Store;
  readonly jobs: Pick<Jobs, 'claim' | 'stop'>;
  readonly config: RoomLimits;
  readonly log: Log;
}

/** Of one entry, where its runs may overlap: one that never ends must not fill the machine. */
const mostAtOnce = 10;
const minuteMs = 60_000;

/** Whoever starts what is due. */
const scheduler = 'cron';

/** What has to be written down of a schedule; without a time: that it begins now. */
interface Step {
  readonly one: ScheduledEntry;
  readonly due: (Due & { readonly at: Date }) | undefined;
}

export function createCron(parts: CronParts): Cron {
  const timetable = createTimetable();
  return { tick: async (signal) => await tick(parts, timetable, signal), runNow: async (request) => await runNow(request, parts) };
}

/** Thousands may be due in the same minute. Each table is read once, and nothing takes long at a stretch. */
async function tick(parts: CronParts, timetable: Timetable, signal: AbortSignal): Promise<void> {
  const { store, log } = parts;
  const marks = new Map(findCronMarks(store).map((mark) => [keyOf(mark.app, mark.entry), mark]));
  const wanted = wantedEntries(store);
  const steps: Step[] = [];
  await inSlices(inTurns([...wanted.values()], Math.floor(store.now().getTime() / minuteMs)), signal, (next) => {
    for (let one = next(); one; one = next()) {
      try {
        const step = stepOf(one, marks.get(keyOf(one.app, one.entry.name)), store.now(), timetable);
        if (step) steps.push(step);
      } catch (error) {
        log.warn({ err: error, app: one.app, entry: one.entry.name }, 'a schedule could not be followed this time');
      }
    }
  });
  await inSlices(steps, signal, (next) => takeSteps(next, parts));
  // What comes back later begins then: nothing of the time between is made up for.
  const left = [...marks].filter(([key]) => !wanted.has(key)).map(([, mark]) => mark);
  await inSlices(left, signal, (next) => {
    inTransaction(store, () => {
      for (let mark = next(); mark; mark = next()) deleteCronMark(store, mark);
    });
  });
  timetable.forgetAllBut(new Set(wanted.keys()));
}

const keyOf = (app: string, entry: string): string => `${app} ${entry}`;

/** By app and name; without what is suspended. */
function wantedEntries(store: Store): ReadonlyMap<string, ScheduledEntry> {
  const suspensions = findSuspensions(store);
  const isWanted = ({ app, entry }: ScheduledEntry): boolean => {
    const suspended = suspensions.get(app);
    return !entry.isSuspended && suspended?.isAll !== true && suspended?.entries.has(entry.name) !== true;
  };
  return new Map(findScheduledEntries(store).filter(isWanted).map((one) => [keyOf(one.app, one.entry.name), one]));
}

/** One of each app after the other, beginning elsewhere in each minute: where there is no room for all, everybody gets some. */
function inTurns(entries: readonly ScheduledEntry[], turn: number): readonly ScheduledEntry[] {
  const apps = rotate([...Map.groupBy(entries, ({ app }) => app).values()], turn).map((ofApp) => rotate(ofApp, turn));
  const longest = Math.max(0, ...apps.map((ofApp) => ofApp.length));
  return Array.from({ length: longest }, (_, index) => apps.flatMap((ofApp) => ofApp[index] ?? [])).flat();
}

const rotate = <T>(list: readonly T[], by: number): readonly T[] => [...list.slice(by % list.length), ...list.slice(0, by % list.length)];

function stepOf(one: ScheduledEntry, mark: CronMark | undefined, now: Date, timetable: Timetable): Step | undefined {
  const { app, entry } = one;
  if (mark?.schedule !== entry.schedule || mark.timeZone !== entry.timeZone) return { one, due: undefined };
  const due = timetable.dueOf(keyOf(app, entry.name), mark, now);
  if (due.kind === 'wait') return undefined;
  return { one, due: due.kind === 'begin-anew' ? undefined : due };
}

/**
 * One transaction, as every one of them waits for the disk: a forge that is killed after it never runs these times again,
 * one that is killed before it has not run them.
 */
function takeSteps(next: () => Step | undefined, parts: CronParts): void {
  const { store, log } = parts;
  const begun: { readonly one: ScheduledEntry; begin(): Promise<unknown> }[] = [];
  const failed = ({ app, entry }: ScheduledEntry, error: unknown): void => log.warn({ err: error, app, entry: entry.name }, 'a schedule could not be followed this time');
  inTransaction(store, () => {
    const unfinished = [...findUnfinishedJobs(store)];
    for (let step = next(); step; step = next()) {
      const { one, due } = step;
      try {
        const begin = inTransaction(store, () => take(one, due, unfinished, parts));
        if (begin) begun.push({ one, begin });
      } catch (error) {
        failed(one, error);
      }
    }
  });
  for (const { one, begin } of begun) begin().catch((error: unknown) => failed(one, error));
}

/** Decides and records; returns what is left to do outside of the transaction. */
function take(one: ScheduledEntry, due: Step['due'], unfinished: Job[], { store, jobs, config }: CronParts): (() => Promise<unknown>) | undefined {
  const { app, version, entry } = one;
  // Deployed, stopped or removed since the tick began: the next one sees it as it is.
  if (!isScheduled(store, one)) return undefined;
  putCronMark(store, { app, entry: entry.name, schedule: entry.schedule, timeZone: entry.timeZone, handledUntil: (due?.at ?? store.now()).toISOString() });
  if (!due) return undefined;
  const dueAt = due.at.toISOString();
  const record = { app, entry: entry.name, program: entry.argv[0] ?? '', version, actor: scheduler, dueAt };
  if (due.kind === 'missed') return void recordUnrun(store, record, 'missed');
  const running = runningOf(unfinished, app, entry);
  if (!mayBegin(entry, running)) return void recordUnrun(store, record, 'skipped');
  const request = requestOf(app, entry, running, { actor: scheduler, dueAt, reader: undefined });
  const full = whyNoRoom(unfinished, request, config);
  if (full !== undefined) return void recordUnrun(store, record, 'skipped', full);
  const claimed = jobs.claim(request);
  unfinished.push(claimed.job);
  return async () => await replaceAndLaunch(entry, running, claimed, jobs);
}

async function runNow({ app, entry: name, actor, reader }: RunNow, { store, jobs }: CronParts): Promise<StartedJob> {
  getApp(store, app);
  const entries = findCurrentRelease(store, app)?.appFile.cron ?? [];
  const entry = entries.find((one) => one.name === name);
  if (!entry) {
    const hint = entries.length === 0 ? 'app.json of its live release has no cron' : `its schedules: ${entries.map((one) => one.name).join(', ')}`;
    throw new ForgeError('not-found', `${app} has no schedule ${JSON.stringify(name)}`, { hint });
  }
  const running = runningOf(findUnfinishedJobs(store), app, entry);
  if (!mayBegin(entry, running)) throw new ForgeError('conflict', `cron.${name} of ${app} runs already`, { hint: `concurrency_policy is ${entry.concurrencyPolicy}; cron:runs ${app} shows it` });
  return await replaceAndLaunch(entry, running, jobs.claim(requestOf(app, entry, running, { actor, dueAt: undefined, reader })), jobs);
}

const runningOf = (unfinished: readonly Job[], app: string, { name }: CronEntry): readonly Job[] => unfinished.filter((job) => job.app === app && job.entry === name);

const mayBegin = ({ concurrencyPolicy }: CronEntry, running: readonly Job[]): boolean => running.length < (concurrencyPolicy === 'forbid' ? 1 : mostAtOnce);

const requestOf = (app: string, { name, argv, concurrencyPolicy }: CronEntry, running: readonly Job[], who: Pick<JobRequest, 'actor' | 'dueAt' | 'reader'>): JobRequest => ({
  app, entry: name, argv, env: {}, limitsOf: undefined, ttlMs: undefined, replaced: concurrencyPolicy === 'replace' ? running.length : 0, ...who,
});

/** The one before has ended when the new one begins, also when it needed SIGKILL for that. */
async function replaceAndLaunch({ concurrencyPolicy }: CronEntry, running: readonly Job[], claimed: ClaimedJob, jobs: Pick<Jobs, 'stop'>): Promise<StartedJob> {
  const isFree = concurrencyPolicy === 'replace' ? Promise.allSettled(running.map(({ id }) => jobs.stop(id, 'replaced'))) : Promise.resolve();
  return await claimed.launch(isFree);
}
