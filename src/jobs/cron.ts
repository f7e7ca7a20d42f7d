/** Runs what the schedules of live releases ask for, at most once for each time, whatever clock and machine do. */
import type { CronEntry } from '../app-file.ts';
import type { Due } from '../cron/due.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { getApp } from '../store/apps.ts';
import { deleteCronMark, findCronMarks, findScheduledEntries, findSuspensions, putCronMark, type CronMark, type ScheduledEntry } from '../store/cron.ts';
import { findUnfinishedJobs, recordUnrun, type Job } from '../store/jobs.ts';
import { findCurrentRelease } from '../store/releases.ts';
import { inTransaction, type Store } from '../store/store.ts';
import { createTimetable } from './timetable.ts';
import type { ClaimedJob, JobRequest, Jobs, StartedJob } from './jobs.ts';

export interface Cron {
  /** Begins what is due now. What cannot begin is recorded and does not stop the rest. */
  tick(): void;
  /** Begins one now. Throws `not-found` for an entry that the live release does not have, `conflict` when it runs and may not twice. */
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
  readonly log: Log;
}

/** Of one entry, where its runs may overlap: one that never ends must not fill the machine. */
const mostAtOnce = 10;

/** Whoever starts what is due. */
const scheduler = 'cron';

export function createCron(parts: CronParts): Cron {
  const timetable = createTimetable();
  const tick = (): void => {
    const { store, log } = parts;
    const marks = new Map(findCronMarks(store).map((mark) => [keyOf(mark.app, mark.entry), mark]));
    const wanted = wantedEntries(store);
    for (const one of wanted.values()) {
      try {
        visit(one, marks.get(keyOf(one.app, one.entry.name)), parts, timetable);
      } catch (error) {
        log.warn({ err: error, app: one.app, entry: one.entry.name }, 'a schedule could not be followed this time');
      }
    }
    // What comes back later begins then: nothing of the time between is made up for.
    for (const [key, mark] of marks) if (!wanted.has(key)) deleteCronMark(store, mark);
    timetable.forgetAllBut(new Set(wanted.keys()));
  };
  return { tick, runNow: async (request) => await runNow(request, parts) };
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

function visit(one: ScheduledEntry, mark: CronMark | undefined, parts: CronParts, timetable: ReturnType<typeof createTimetable>): void {
  const { store } = parts;
  const { app, entry } = one;
  const now = store.now();
  const markAt = (at: Date): CronMark => ({ app, entry: entry.name, schedule: entry.schedule, timeZone: entry.timeZone, handledUntil: at.toISOString() });
  if (mark?.schedule !== entry.schedule || mark.timeZone !== entry.timeZone) return putCronMark(store, markAt(now));
  const due = timetable.dueOf(keyOf(app, entry.name), mark, now);
  if (due.kind === 'wait') return;
  if (due.kind === 'begin-anew') return putCronMark(store, markAt(now));
  // One transaction: a forge that is killed after it never runs this time again, one that is killed before it has not run it.
  const begin = inTransaction(store, () => {
    putCronMark(store, markAt(due.at));
    return handle(one, due, parts);
  });
  begin?.().catch((error: unknown) => parts.log.warn({ err: error, app, entry: entry.name }, 'a scheduled run could not begin'));
}

/** Decides and records; returns what is left to do outside of the transaction. */
function handle({ app, version, entry }: ScheduledEntry, due: Due & { readonly at: Date }, { store, jobs }: CronParts): (() => Promise<unknown>) | undefined {
  const dueAt = due.at.toISOString();
  const record = { app, entry: entry.name, program: entry.argv[0] ?? '', version, actor: scheduler, dueAt };
  if (due.kind === 'missed') return void recordUnrun(store, record, 'missed');
  const running = runningOf(store, app, entry);
  if (!mayBegin(entry, running)) return void recordUnrun(store, record, 'skipped');
  const claimed = jobs.claim(requestOf(app, entry, { actor: scheduler, dueAt, reader: undefined }));
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
  const running = runningOf(store, app, entry);
  if (!mayBegin(entry, running)) throw new ForgeError('conflict', `cron.${name} of ${app} runs already`, { hint: `concurrency_policy is ${entry.concurrencyPolicy}; cron:runs ${app} shows it` });
  return await replaceAndLaunch(entry, running, jobs.claim(requestOf(app, entry, { actor, dueAt: undefined, reader })), jobs);
}

const runningOf = (store: Store, app: string, { name }: CronEntry): readonly Job[] => findUnfinishedJobs(store).filter((job) => job.app === app && job.entry === name);

const mayBegin = ({ concurrencyPolicy }: CronEntry, running: readonly Job[]): boolean =>
  concurrencyPolicy === 'replace' || running.length < (concurrencyPolicy === 'forbid' ? 1 : mostAtOnce);

const requestOf = (app: string, { name, argv }: CronEntry, who: Pick<JobRequest, 'actor' | 'dueAt' | 'reader'>): JobRequest => ({ app, entry: name, argv, env: {}, limitsOf: undefined, ttlMs: undefined, ...who });

/** The one before has ended when the new one begins, also when it needed SIGKILL for that. */
async function replaceAndLaunch({ concurrencyPolicy }: CronEntry, running: readonly Job[], claimed: ClaimedJob, jobs: Pick<Jobs, 'stop'>): Promise<StartedJob> {
  if (concurrencyPolicy === 'replace') await Promise.allSettled(running.map(({ id }) => jobs.stop(id, 'replaced')));
  return await claimed.launch();
}
