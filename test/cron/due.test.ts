import { expect, test } from 'vitest';
import { dueOf } from '../../src/cron/due.ts';
import { createSchedule, type Schedule } from '../../src/cron/schedule.ts';

const at = (time: string): Date => new Date(`2026-05-04T${time}Z`);
const hourly = createSchedule('0 * * * *', 'UTC');
const minutely = createSchedule('* * * * *', 'UTC');
const daily = createSchedule('0 4 * * *', 'UTC');

/** Shows the schedule these clocks one after the other; the times that are run. */
function runs(schedule: Schedule, began: string, clocks: readonly string[]): string[] {
  let handledUntil = at(began);
  return clocks.flatMap((clock) => {
    const due = dueOf(schedule, handledUntil, at(clock));
    if (due.kind === 'begin-anew') handledUntil = at(clock);
    if (due.kind !== 'run' && due.kind !== 'missed') return [];
    handledUntil = due.at;
    return [`${due.kind} ${due.at.toISOString().slice(11, 16)}`];
  });
}

test('a time is run once when it has come', () => {
  expect(runs(hourly, '09:30:00', ['09:59:59', '10:00:00', '10:00:01', '10:59:59.999', '11:00:00.001'])).toEqual(['run 10:00', 'run 11:00']);
});

test('a schedule begins after the moment that it is there, however it was before', () => {
  expect(runs(hourly, '10:00:00', ['10:00:00', '10:30:00'])).toEqual([]);
});

test('however many times were missed, it is run once if the last is not an hour ago, else told as missed', () => {
  expect(runs(minutely, '09:00:00', ['09:40:30', '09:40:40', '09:41:00'])).toEqual(['run 09:40', 'run 09:41']);
  expect(runs(daily, '03:00:00', ['05:00:00'])).toEqual(['run 04:00']);
  expect(runs(daily, '03:00:00', ['05:00:01', '05:00:02'])).toEqual(['missed 04:00']);
});

test('a clock that jumps ahead runs what it jumped over once', () => {
  expect(runs(hourly, '09:30:00', ['09:40:00', '12:20:00', '12:20:10', '13:00:00'])).toEqual(['run 12:00', 'run 13:00']);
});

test('a clock that is set back runs nothing twice', () => {
  expect(runs(hourly, '09:30:00', ['10:00:00', '09:50:00', '10:00:00', '10:30:00', '11:00:00'])).toEqual(['run 10:00', 'run 11:00']);
  expect(runs(daily, '03:00:00', ['04:00:05', '03:10:00', '04:00:00'])).toEqual(['run 04:00']);
});

test('a clock that is set back by more than the interval does not silence the schedule until the old time is back', () => {
  expect(runs(minutely, '12:00:00', ['12:30:00', '11:45:20', '11:46:00', '11:47:00'])).toEqual(['run 12:30', 'run 11:46', 'run 11:47']);
  expect(runs(hourly, '11:30:00', ['12:00:00', '03:20:00', '04:00:00'])).toEqual(['run 12:00', 'run 04:00']);
});
