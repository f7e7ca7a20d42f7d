/** Jobs: commands that nobody waits for, of people and of schedules. They outlive forge; each has an end and a record of it. */
import type { Config } from '../config.ts';
import { createSlots } from '../deploy/slots.ts';
import type { Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { JobContainer, JobContainers, JobStart } from '../runtime/job-containers.ts';
import { findApp, getApp } from '../store/apps.ts';
import { createJob, findJob, findUnfinishedJobs, finishJob, type Job, type JobOutcome } from '../store/jobs.ts';
import { findCurrentRelease } from '../store/releases.ts';
import type { Store } from '../store/store.ts';
import { untilAborted, withTimeout } from '../wait.ts';
import { whyNoRoom, type RoomLimits } from './room.ts';
import { keepTrying, watchJob, type ActiveJob } from './watch-job.ts';

export interface JobRequest extends Pick<JobStart, 'argv' | 'env' | 'limitsOf' | 'reader'> {
  readonly app: string;
  /** Of the schedule; `undefined`: a person's command. */
  readonly entry: string | undefined;
  readonly actor: string;
  readonly dueAt: string | undefined;
  /** `undefined`: as configured. */
  readonly ttlMs: number | undefined;
  /** So many of the app's are ended before this one begins; default none. */
  readonly replaced?: number;
}

/** A job that has its record and not yet its container. */
export interface ClaimedJob {
  readonly job: Job;
  /**
   * Once, after the transaction: begins when `isFree` is settled, resolves when the command runs. Throws what kept it from
   * that, which its record holds too.
   */
  launch(isFree?: Promise<unknown>): Promise<StartedJob>;
}

export interface StartedJob {
  readonly job: Job;
  /** Resolves when the reader has everything, or left. */
  readonly isRead: Promise<void>;
  /** The record of its end; as it is when forge stops before. Never rejects. */
  readonly ended: Promise<Job>;
}

export interface Jobs {
  /** Writes the record and no more, in the caller's transaction if there is one: what is rolled back leaves nothing. A forge that is killed from here on never starts it again. Throws `conflict` for an app that nothing runs of, and when as many run as may. */
  claim(request: JobRequest): ClaimedJob;
  /** SIGTERM, then SIGKILL; resolves with the record of its end. Throws `not-found` for one that does not run. */
  stop(id: string, outcome: 'stopped' | 'replaced'): Promise<Job>;
  /** After a start of forge: takes up the jobs that run, records the end of those that do not. Throws when the engine does not answer. */
  adopt(): Promise<void>;
  /** Lets go of everything; the jobs themselves go on. */
  close(): Promise<void>;
}

export interface JobsParts {
  readonly store: Store;
  readonly containers: JobContainers;
  readonly config: Pick<Config, 'jobTimeout'> & RoomLimits;
  readonly log: Log;
  /** Between two attempts at what failed. Other than the default only in tests. */
  readonly retryMs?: number;
}

/** Many schedules have the same time, and every start costs the engine something. */
const startsAtOnce = 4;
const defaultRetryMs = 5_000;
/** Of what has stopped: two calls of a busy engine and one write. */
const recordTimeoutMs = 150_000;

export function createJobs(parts: JobsParts): Jobs {
  const { store, containers, config, log, retryMs = defaultRetryMs } = parts;
  const stopping = new AbortController();
  const { signal } = stopping;
  const starts = createSlots(startsAtOnce);
  const active = new Map<string, ActiveJob & { readonly isOver: Promise<void> }>();

  const begin = (job: Job, container: Promise<JobContainer>): ActiveJob => {
    const state = { container, reason: undefined as JobOutcome | undefined };
    container.catch(() => undefined);
    const { ended, isOver } = watchJob({ job, state, containers, store, log, retryMs, signal });
    const entry = Object.assign(state, { ended, isOver: isOver.finally(() => active.delete(job.id)) });
    active.set(job.id, entry);
    return entry;
  };

  const start = async (job: Job, request: JobRequest, release: Release) => {
    using _slot = await starts.take(signal, () => undefined);
    const { argv, env, limitsOf, reader } = request;
    const container = await containers.start({ id: job.id, name: job.name, release, argv, env, limitsOf, reader, signal });
    const app = findApp(store, job.app);
    if (app && !app.isBeingRemoved) return container;
    // The removal may have looked for containers before this one was there.
    await containers.remove(container);
    throw new ForgeError('conflict', `${job.app} is being removed`);
  };

  const claim = (request: JobRequest): ClaimedJob => {
    const release = liveRelease(request.app, store);
    const full = whyNoRoom(findUnfinishedJobs(store), request, config);
    if (full !== undefined) throw new ForgeError('conflict', full, { hint: `forge run:list ${request.app} and forge cron:runs ${request.app} show them, forge run:stop ${request.app} NAME stops one` });
    const job = createJob(store, { ...request, program: request.argv[0] ?? '', version: release.version, ttlMs: request.ttlMs ?? config.jobTimeout });
    const launch = async (isFree: Promise<unknown> = Promise.resolve()): Promise<StartedJob> => {
      const container = untilAborted(Promise.allSettled([isFree]), signal).then(async () => await start(job, request, release));
      const { ended } = begin(job, container);
      const { isRead } = await container;
      return { job, isRead, ended };
    };
    return { job, launch };
  };

  return {
    claim,
    stop: async (id, outcome) => await stop(id, outcome, { active, containers, store }),
    adopt: async () => await adopt(parts, { active, begin, retryMs, signal }),
    close: async () => {
      stopping.abort();
      await Promise.allSettled([...active.values()].map(({ isOver }) => isOver));
    },
  };
}

function liveRelease(name: string, store: Store): Release {
  const app = getApp(store, name);
  if (app.isBeingRemoved) throw new ForgeError('conflict', `${name} is being removed`);
  const release = findCurrentRelease(store, name);
  if (!release) throw new ForgeError('conflict', `${name} has no release yet`, { hint: 'push its code first' });
  return release;
}

async function stop(id: string, outcome: JobOutcome, { active, containers, store }: { active: ReadonlyMap<string, ActiveJob>; containers: JobContainers; store: Store }): Promise<Job> {
  const state = active.get(id);
  const record = findJob(store, id);
  if (!state || record?.endedAt !== undefined) {
    if (record && record.endedAt === undefined) throw new ForgeError('unavailable', 'forge has not learned yet what runs', { hint: 'try again in a moment' });
    throw new ForgeError('not-found', `job ${id} does not run`);
  }
  state.reason ??= outcome;
  const container = await state.container.catch(() => undefined);
  if (container) await containers.stop(container);
  return await withTimeout(recordTimeoutMs, `job ${id} is stopped, and its end could not be recorded yet: forge goes on trying`, () => state.ended);
}

interface Adopt {
  readonly active: ReadonlyMap<string, ActiveJob>;
  begin(job: Job, container: Promise<JobContainer>): unknown;
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

async function adopt({ store, containers, log }: JobsParts, { active, begin, retryMs, signal }: Adopt): Promise<void> {
  // Containers first: a job that begins meanwhile is active, or has no container in this list.
  const found = new Map((await containers.find()).map((container) => [container.id, container]));
  const left = findUnfinishedJobs(store).filter(({ id }) => !active.has(id));
  for (const job of left) {
    const container = found.get(job.id);
    if (container && container.state !== 'created') begin(job, Promise.resolve(container));
    else finishJob(store, job.id, { outcome: 'interrupted', status: undefined, failure: 'forge was stopped before it began' });
  }
  for (const container of found.values()) {
    if (active.has(container.id)) continue;
    const about = { app: container.app, job: container.name };
    const removed = keepTrying(async () => await containers.remove(container), { log, retryMs, signal, about, failed: 'the container of a job that has ended could not be removed; forge tries again every few seconds' });
    removed.catch(() => undefined);
  }
}
