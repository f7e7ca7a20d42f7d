/** When schedules are due; remembers each one's next time, so that looking at a thousand of them every few seconds costs little. */
import { dueOf, type Due } from '../cron/due.ts';
import { createSchedule } from '../cron/schedule.ts';
import type { CronMark } from '../store/cron.ts';

export interface Timetable {
  dueOf(key: string, mark: CronMark, now: Date): Due;
  forgetAllBut(keys: ReadonlySet<string>): void;
}

interface Next {
  readonly mark: CronMark;
  readonly handledUntil: Date;
  readonly at: Date | undefined;
}

export function createTimetable(): Timetable {
  const nexts = new Map<string, Next>();
  return {
    dueOf: (key, mark, now) => {
      const known = nexts.get(key);
      if (known && isSame(known.mark, mark) && known.handledUntil <= now && (!known.at || now < known.at)) return { kind: 'wait' };
      const schedule = createSchedule(mark.schedule, mark.timeZone);
      const handledUntil = new Date(mark.handledUntil);
      nexts.set(key, { mark, handledUntil, at: schedule.next(handledUntil) });
      return dueOf(schedule, handledUntil, now);
    },
    forgetAllBut: (keys) => {
      for (const key of nexts.keys()) if (!keys.has(key)) nexts.delete(key);
    },
  };
}

const isSame = (a: CronMark, b: CronMark): boolean => a.handledUntil === b.handledUntil && a.schedule === b.schedule && a.timeZone === b.timeZone;
