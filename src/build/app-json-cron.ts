/** `cron` of app.json as the schedule that a release carries. Pure. */
import type { CronEntry } from '../app-file.ts';
import { parseExpression, parseTimeZone } from '../cron/schedule.ts';
import { ForgeError, isForgeError } from '../errors.ts';
import type { AppJson } from './app-json.ts';
import { shellFreeWords } from './process-command.ts';

type Written = AppJson['cron'][number];

/** Of one app: all of them may be due in the same minute. */
const maxEntries = 100;

/**
 * The checked entries, in their order; one without a name is called after its place, `cron-1`. Throws `invalid` with
 * the path of what is wrong: a schedule, a time zone, a name that is there twice, a command that only a shell can read.
 */
export function cronEntries(written: AppJson['cron']): readonly CronEntry[] {
  if (written.length > maxEntries) throw new ForgeError('invalid', `app.json: cron: ${written.length} entries, and an app may have ${maxEntries}`, { hint: 'let one command do what is due at the same time' });
  const entries = written.map(cronEntry);
  for (const [index, { name }] of entries.entries()) {
    if (entries.findIndex((other) => other.name === name) < index) throw new ForgeError('invalid', `app.json: cron.${index}.name: ${JSON.stringify(name)} is the name of an entry before it`);
  }
  return entries;
}

function cronEntry(entry: Written, index: number): CronEntry {
  const at = <T>(key: string, parse: () => T): T => within(`app.json: cron.${index}.${key}`, parse);
  const zone = entry.time_zone ?? entry.timezone ?? 'UTC';
  return {
    name: entry.name ?? `cron-${index + 1}`,
    argv: at('command', () => wordsOf(entry.command)),
    schedule: at('schedule', () => parseExpression(entry.schedule)),
    timeZone: at(entry.time_zone === undefined ? 'timezone' : 'time_zone', () => parseTimeZone(zone)),
    concurrencyPolicy: entry.concurrency_policy,
    isSuspended: entry.suspend ?? entry.maintenance ?? false,
  };
}

function wordsOf(command: string): readonly string[] {
  const words = shellFreeWords(command);
  if (words) return words;
  const shown = JSON.stringify(command.length > 80 ? `${command.slice(0, 80)}…` : command);
  throw new ForgeError('invalid', `${shown} needs a shell${operatorOf(command)}, and commands of cron run without one`, {
    hint: 'put it into a script of the app and name that: "command": "bin/nightly", or say it outright: "command": "sh -c \'…\'"',
  });
}

/** The first thing outside of quotes that only a shell understands. */
function operatorOf(command: string): string {
  const unquoted = command.replaceAll(/'[^']*'/g, '').replaceAll(/"[^"$`\\]*"/g, '');
  const found = (/&&|\|\||\$\(|>>|<<|[|;&<>`$*?(){}!~#]/.exec(unquoted) ?? /[\\'"]/.exec(unquoted))?.[0];
  return found === undefined ? '' : ` for ${JSON.stringify(found)}`;
}

function within<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!isForgeError(error)) throw error;
    throw new ForgeError(error.code, `${path}: ${error.message}`, { ...(error.hint === undefined ? {} : { hint: error.hint }), cause: error });
  }
}
