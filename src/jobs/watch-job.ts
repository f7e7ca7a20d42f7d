/** Looks after one job from its start, or from forge's, to its end. */
import { isForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { JobContainer, JobContainers } from '../runtime/job-containers.ts';
import { findJob, finishJob, type Job, type JobOutcome } from '../store/jobs.ts';
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
  /** Aborts when forge stops: the job goes on, and the next forge takes it up. */
  readonly signal: AbortSignal;
}

/** Timers go no further. */
const longestWaitMs = 2 ** 31 - 1;
const retryMs = 5_000;

/** Resolves with the job as it is recorded: ended, or as it is when forge stops. Never rejects. */
export async function watchJob(options: WatchJob): Promise<Job> {
  const { job, state, store, log, signal } = options;
  try {
    const container = await untilAborted(state.container, signal);
    await untilEnded(container, options);
    await options.containers.remove(container);
  } catch (error) {
    if (!signal.aborted) recordFailure(error, options);
  }
  try {
    return findJob(store, job.id) ?? job;
  } catch (error) {
    log.warn({ err: error, job: job.id }, 'the record of a job could not be read');
    return job;
  }
}

/** The record is written before the container goes: a forge that is killed in between finds the one or the other. */
async function untilEnded(container: JobContainer, options: WatchJob): Promise<void> {
  const { job, state, containers, store, signal } = options;
  const over = new AbortController();
  const reaping = reap(container, options, AbortSignal.any([signal, over.signal]));
  try {
    const status = await containers.ended(container, signal);
    finishJob(store, job.id, { outcome: state.reason ?? (status === 0 ? 'succeeded' : 'failed'), status, failure: undefined });
  } finally {
    over.abort();
    await reaping;
  }
}

/** Ends it at its deadline, however often forge was started meanwhile. */
async function reap(container: JobContainer, { job, state, containers, store, log }: WatchJob, signal: AbortSignal): Promise<void> {
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

function recordFailure(error: unknown, { job, state, store, log }: WatchJob): void {
  const isGone = isForgeError(error) && error.code === 'not-found';
  const failure = isForgeError(error) ? error.message : 'internal error';
  log.warn({ err: error, app: job.app, job: job.name }, 'a job broke off');
  try {
    finishJob(store, job.id, { outcome: state.reason ?? (isGone ? 'interrupted' : 'failed'), status: undefined, failure });
  } catch (again) {
    log.error({ err: again, job: job.id }, 'the end of a job could not be recorded');
  }
}
