/** Commands that nobody waits for, and the schedules that begin some of them. */
import type { Config } from '../config.ts';
import { createCron, type Cron } from '../jobs/cron.ts';
import { createJobs, type Jobs } from '../jobs/jobs.ts';
import { keepTime } from '../jobs/keep-time.ts';
import type { Log } from '../log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';

export interface JobServices {
  readonly jobs: Jobs;
  readonly cron: Cron;
}

export function wireJobs({ store, runtime, config, log }: { readonly store: Store; readonly runtime: Runtime; readonly config: Config; readonly log: Log }, stack: AsyncDisposableStack): JobServices {
  const jobs = createJobs({ store, containers: runtime.jobs, config, log });
  stack.defer(async () => await jobs.close());
  return { jobs, cron: createCron({ store, jobs, config, log }) };
}

interface Scheduled {
  readonly work: JobServices;
  readonly store: Store;
  readonly log: Log;
  readonly stopping: AbortSignal;
}

/** Takes up the jobs of an earlier run, then follows the schedules until forge stops. */
export function keepSchedules({ work, store, log, stopping }: Scheduled, stack: AsyncDisposableStack): void {
  const controller = new AbortController();
  const ended = keepTime({ ...work, log, now: store.now, signal: AbortSignal.any([controller.signal, stopping]) });
  stack.defer(async () => {
    controller.abort();
    await ended;
  });
}
