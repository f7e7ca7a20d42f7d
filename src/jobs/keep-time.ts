/** Looks at the schedules whenever a minute begins, and every few seconds in between: the clock may jump, and apps change. */
import type { Log } from '../log.ts';
import { delay } from '../wait.ts';
import type { Cron } from './cron.ts';
import type { Jobs } from './jobs.ts';

export interface KeepTimeOptions {
  readonly cron: Pick<Cron, 'tick'>;
  readonly jobs: Pick<Jobs, 'adopt'>;
  readonly log: Log;
  now(): Date;
  readonly signal: AbortSignal;
}

const minuteMs = 60_000;
const longestPauseMs = 5_000;

/** Ends with the signal. Nothing is begun before the jobs of an earlier forge are known. */
export async function keepTime({ cron, jobs, log, now, signal }: KeepTimeOptions): Promise<void> {
  let isReady = false;
  let hasWarned = false;
  while (!signal.aborted) {
    try {
      if (!isReady) await jobs.adopt();
      isReady = true;
      await cron.tick(signal);
      hasWarned = false;
    } catch (error) {
      // The engine may be away for long.
      if (!signal.aborted && !hasWarned) log.warn({ err: error }, 'the schedules cannot be followed; forge tries again every few seconds');
      hasWarned = true;
    }
    const toNextMinuteMs = minuteMs - (now().getTime() % minuteMs);
    await delay(Math.min(toNextMinuteMs, longestPauseMs), signal).catch(() => undefined);
  }
}
