import { describe, expect, it, test } from 'vitest';
import { createSchedule, parseExpression, parseTimeZone } from '../../src/cron/schedule.ts';

describe('an expression', () => {
  it('has five fields, or is a name for them', () => {
    expect(parseExpression(' 30  4 * * 1-5 ')).toBe('30 4 * * 1-5');
    expect(parseExpression('@daily')).toBe('0 0 * * *');
    expect(parseExpression('@hourly')).toBe('0 * * * *');
  });

  it.each([
    ['0 30 4 * * *', 'no seconds field'],
    ['* * * *', 'expected five fields'],
    ['', 'expected five fields'],
    ['@reboot', 'the names are @yearly'],
    ['61 * * * *', 'is not a schedule'],
    ['a b c d e', 'is not a schedule'],
    ['0 0 30 2 *', 'there is no such day'],
  ])('%j is refused: %s', (text, message) => {
    expect(() => parseExpression(text)).toThrow(message);
  });
});

test('a time zone is a name of the IANA', () => {
  expect(parseTimeZone('Europe/Berlin')).toBe('Europe/Berlin');
  for (const text of ['Europe/Bärlin', '+02:00', '', 'Mars/Base']) expect(() => parseTimeZone(text)).toThrow('is not a time zone');
});

const utc = (text: string): Date => new Date(`${text}Z`);

test('times are those of the zone', () => {
  const schedule = createSchedule('30 4 * * *', 'America/New_York');
  expect(schedule.next(utc('2026-01-10T09:29:59'))).toEqual(utc('2026-01-10T09:30:00'));
  expect(schedule.next(utc('2026-07-10T08:30:00'))).toEqual(utc('2026-07-11T08:30:00'));
});

test('the last time counts from its very moment on', () => {
  const schedule = createSchedule('*/5 * * * *', 'UTC');
  expect(schedule.previous(utc('2026-01-10T09:30:00.000'))).toEqual(utc('2026-01-10T09:30:00'));
  expect(schedule.previous(utc('2026-01-10T09:30:00.001'))).toEqual(utc('2026-01-10T09:30:00'));
  expect(schedule.previous(utc('2026-01-10T09:29:59.999'))).toEqual(utc('2026-01-10T09:25:00'));
});

test('a time that summer time skips comes right after the gap, one that winter time repeats comes once', () => {
  const schedule = createSchedule('30 2 * * *', 'Europe/Berlin');
  expect(schedule.next(utc('2026-03-28T12:00:00'))).toEqual(utc('2026-03-29T01:00:00'));
  expect(schedule.next(utc('2026-03-29T01:00:00'))).toEqual(utc('2026-03-30T00:30:00'));
  expect(schedule.next(utc('2026-10-24T12:00:00'))).toEqual(utc('2026-10-25T00:30:00'));
  expect(schedule.next(utc('2026-10-25T00:30:00'))).toEqual(utc('2026-10-26T01:30:00'));
  expect(schedule.previous(utc('2026-10-25T02:00:00'))).toEqual(utc('2026-10-25T00:30:00'));
});

test('a schedule of every quarter of an hour goes on through the change, at the same distance', () => {
  const schedule = createSchedule('*/15 * * * *', 'Europe/Berlin');
  let at = utc('2026-10-25T00:00:00');
  for (let step = 1; step <= 12; step += 1) {
    at = schedule.next(at) as Date;
    expect(at).toEqual(new Date(utc('2026-10-25T00:00:00').getTime() + step * 15 * 60_000));
  }
});
