/** Whether a schedule's time has come: pure, so that stops of forge and jumps of the clock can be told in tests. */
import type { Schedule } from './schedule.ts';

/** A time that was missed by more than this is not made up for. */
export const latestMs = 60 * 60_000;

export type Due =
  | { readonly kind: 'wait' }
  /** However many times have passed meanwhile, it is run once, for the last of them. */
  | { readonly kind: 'run'; readonly at: Date }
  /** Too long ago. */
  | { readonly kind: 'missed'; readonly at: Date }
  /** The clock was set back by more than the schedule's own interval: it begins anew from now. */
  | { readonly kind: 'begin-anew' };

/**
 * `handledUntil` is the last time that was dealt with, or when the schedule began. No time is dealt with twice, also
 * when the clock is set back a little; set back further, waiting for the old time would silence the schedule.
 */
export function dueOf(schedule: Schedule, handledUntil: Date, now: Date): Due {
  const last = schedule.previous(now);
  if (last && last > handledUntil) return { kind: now.getTime() - last.getTime() <= latestMs ? 'run' : 'missed', at: last };
  return handledUntil > now && handledUntil.getTime() - now.getTime() > intervalAt(schedule, now) ? { kind: 'begin-anew' } : { kind: 'wait' };
}

function intervalAt(schedule: Schedule, now: Date): number {
  const first = schedule.next(now);
  const second = first && schedule.next(first);
  return second ? second.getTime() - first.getTime() : Infinity;
}
