/** Looks after one job from its start, or from forge's, to its end. */
import { abortError, isForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { JobContainer, JobContainers } from '../runtime/job-containers.ts';
import { findJob, finishJob, type Job, type JobEnd, type JobOutcome } from '../store/jobs.ts';
import type { Store } from '../store/store.ts';
import { delay, untilAborted } from '../wait.ts';

/** A job that this forge looks after. */
export interface ActiveJob {
  readonly container: Promise<JobContainer>;
  readonly ended: Promise<Job>;
  /** Why it is being stopped. */
  reason: JobOutcome | undefined;
}

export interface WatchJob {
  readonly job: Job;
  readonly state: Pick<ActiveJob, 'container' | 'reason'>;
  readonly containers: JobContainers;
  readonly store: Store;
  readonly log: Log;
  /** Between two attempts at what failed. */
  readonly retryMs: number;
  /** Aborts when forge stops: the job goes on, and the next forge takes it up. */
  readonly signal: AbortSignal;
}

export interface WatchedJob {
  /** The job as it is recorded: ended, with its container gone or refused once; as it is when forge stops before. Never rejects. */
  readonly ended: Promise<Job>;
  /** Resolves when nothing is left to do for it, or forge stops. Never rejects. */
  readonly isOver: Promise<void>;
}

/** Timers go no further. */
const longestWaitMs = 2 ** 31 - 1;

export function watchJob(options: WatchJob): WatchedJob {
  const triedToRemove = Promise.withResolvers<void>();
  const isOver = lookAfter(options, triedToRemove.resolve).finally(triedToRemove.resolve);
  return { ended: triedToRemove.promise.then(() => asRecorded(options)), isOver };
}

/** The record is written before the container goes: a forge that is killed in between finds the one or the other. */
async function lookAfter(options: WatchJob, onTriedToRemove: () => void): Promise<void> {
  const { job, state, containers, store, log, retryMs, signal } = options;
  try {
    const container = await untilAborted(state.container, signal).catch((error: unknown) => failureOf(error, options));
    const end = 'outcome' in container ? container : await endOf(container, options).catch((error: unknown) => failureOf(error, options));
    const about = { app: job.app, job: job.name };
    await keepTrying(() => finishJob(store, job.id, end), { log, retryMs, signal, about, failed: 'the end of a job could not be recorded; forge tries again every few seconds' });
    if ('outcome' in container) return;
    const remove = async (): Promise<void> => await containers.remove(container).finally(onTriedToRemove);
    await keepTrying(remove, { log, retryMs, signal, about, failed: 'the container of a job that has ended could not be removed; forge tries again every few seconds' });
  } catch (error) {
    if (!signal.aborted) log.error({ err: error, job: job.id }, 'internal error: a job is not looked after any more');
  }
}

function asRecorded({ job, store, log }: WatchJob): Job {
  try {
    return findJob(store, job.id) ?? job;
  } catch (error) {
    log.warn({ err: error, job: job.id }, 'the record of a job could not be read');
    return job;
  }
}

async function endOf(container: JobContainer, options: WatchJob): Promise<JobEnd> {
  const { state, containers, signal } = options;
  const over = new AbortController();
  const reaping = reap(container, options, AbortSignal.any([signal, over.signal]));
  try {
    const status = await containers.ended(container, signal);
    return { outcome: state.reason ?? (status === 0 ? 'succeeded' : 'failed'), status, failure: undefined };
  } finally {
    over.abort();
    await reaping;
  }
}

/** Ends it at its deadline, however often forge was started meanwhile. */
async function reap(container: JobContainer, { job, state, containers, store, log, retryMs }: WatchJob, signal: AbortSignal): Promise<void> {
  const leftMs = Date.parse(job.deadlineAt) - store.now().getTime();
  let waitMs = Math.min(Math.max(leftMs, 0), longestWaitMs);
  while (!signal.aborted) {
    try {
      await delay(waitMs, signal);
      state.reason ??= 'timed-out';
      await containers.stop(container);
      return;
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, app: job.app, job: job.name }, 'a job that took too long could not be stopped; forge tries again');
    }
    waitMs = retryMs;
  }
}

/** Throws the signal's reason when forge stops: how the job ends is not known then. */
function failureOf(error: unknown, { job, state, log, signal }: WatchJob): JobEnd {
  if (signal.aborted) throw abortError(signal);
  log.warn({ err: error, app: job.app, job: job.name }, 'a job broke off');
  const isGone = isForgeError(error) && error.code === 'not-found';
  return { outcome: state.reason ?? (isGone ? 'interrupted' : 'failed'), status: undefined, failure: isForgeError(error) ? error.message : 'internal error' };
}

interface KeepTrying {
  readonly log: Log;
  readonly retryMs: number;
  readonly signal: AbortSignal;
  readonly about: { readonly app: string; readonly job: string };
  /** Said once, at the first failure. */
  readonly failed: string;
}

/** Until it succeeds: a full disk has room again, an engine comes back. Rejects with the signal's reason alone. */
export async function keepTrying(task: () => void | Promise<void>, { log, retryMs, signal, about, failed }: KeepTrying): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    if (signal.aborted) throw abortError(signal);
    try {
      return await task();
    } catch (error) {
      if (isFirst && !signal.aborted) log.error({ err: error, ...about }, failed);
    }
    await delay(retryMs, signal);
  }
}
