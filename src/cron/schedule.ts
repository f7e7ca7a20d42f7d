/** The one door to croner, which is asked for times alone: forge itself waits for them, on its own clock. */
import { Cron } from 'croner';
import { ForgeError } from '../errors.ts';

/** The times of a cron expression in a time zone. */
export interface Schedule {
  /** The first time after this one; `undefined`: there is none. */
  next(after: Date): Date | undefined;
  /** The last time that is not after this one. */
  previous(at: Date): Date | undefined;
}

/** Names for expressions, as cron and Dokku have them. */
const nicknames: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/**
 * Five fields (minute, hour, day of the month, month, day of the week) or a name such as `@daily`, as five fields.
 * Throws `invalid` with what is wrong; a sixth field, which elsewhere means seconds, is named.
 */
export function parseExpression(text: string): string {
  const expression = nicknames[text.trim().toLowerCase()] ?? text.trim();
  if (expression.startsWith('@')) throw wrong(text, `the names are ${Object.keys(nicknames).join(', ')}`);
  const fields = expression.split(/\s+/);
  if (fields.length === 6 || fields.length === 7) throw wrong(text, `${fields.length} fields: forge’s schedules have no seconds field; the five are minute, hour, day, month, weekday`);
  if (fields.length !== 5) throw wrong(text, `expected five fields: minute, hour, day, month, weekday; such as "30 4 * * *", or @daily`);
  try {
    if (createSchedule(expression, 'UTC').next(new Date())) return fields.join(' ');
  } catch (error) {
    throw wrong(text, (error as Error).message.replace(/^CronPattern: /, ''));
  }
  throw wrong(text, 'there is no such day');
}

/** An IANA name such as `Europe/Berlin`, as it was written. Throws `invalid`. */
export function parseTimeZone(text: string): string {
  try {
    if (/^[A-Za-z]/.test(text) && new Intl.DateTimeFormat('en', { timeZone: text })) return text;
  } catch {
    // Not known to the program's own data, which is what the times are reckoned with.
  }
  throw new ForgeError('invalid', `${JSON.stringify(text.slice(0, 60))} is not a time zone: expected a name such as Europe/Berlin or UTC`);
}

/**
 * The times of a checked expression. A time that a clock change skips comes right after the gap, one that it repeats
 * comes once; schedules with a wildcard in minute or hour follow the clock as it goes.
 */
export function createSchedule(expression: string, timeZone: string): Schedule {
  const cron = new Cron(expression, { mode: '5-part', timezone: timeZone, fixedTimeRule: 'no-wildcard', paused: true });
  return {
    next: (after) => cron.nextRun(after) ?? undefined,
    // Asked for what lies strictly before; a time is a whole second.
    previous: (at) => cron.previousRuns(1, new Date(at.getTime() + 1))[0],
  };
}

const wrong = (text: string, why: string): ForgeError => new ForgeError('invalid', `${JSON.stringify(text.slice(0, 80))} is not a schedule: ${why}`);
