/** Words for how a job went. */
import type { Job } from '../store/jobs.ts';
import { elapsed, relativeTime } from './durations.ts';
import type { Style } from './style.ts';
import { oneLine } from './table.ts';

const words: Readonly<Record<NonNullable<Job['outcome']>, string>> = {
  succeeded: 'succeeded',
  failed: 'failed',
  'timed-out': 'took too long and was stopped',
  stopped: 'was stopped',
  replaced: 'was replaced by the next',
  interrupted: 'was interrupted',
  skipped: 'skipped: the one before still ran',
  missed: 'missed: forge was down',
};

export function describeEnd({ outcome, status, failure }: Job, style: Style): string {
  if (outcome === undefined) return style.good('running');
  if (outcome === 'succeeded') return words.succeeded;
  if (outcome === 'skipped' && failure !== undefined) return style.bad(`skipped: ${oneLine(failure)}`);
  const reason = failure === undefined ? (status === undefined ? '' : ` (status ${status})`) : `: ${oneLine(failure)}`;
  return style.bad(`${words[outcome]}${reason}`);
}

/** Name, beginning, duration, release, who, how it went. */
export function jobRow(job: Job, now: Date, style: Style): string[] {
  const { name, createdAt, endedAt, version, actor, outcome } = job;
  const hasRun = outcome !== 'skipped' && outcome !== 'missed';
  return [name, relativeTime(createdAt, now), hasRun ? elapsed(createdAt, endedAt ?? now.toISOString()) : '–', `v${version}`, actor, describeEnd(job, style)];
}
