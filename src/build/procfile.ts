/** Procfile as Heroku defines it: one `type: command` a line. */
import { ForgeError } from '../errors.ts';
import { parseProcessType } from '../names.ts';

/** Bounds the work that a stranger's line can make. */
const maxLineChars = 4096;
const maxTypes = 50;

export interface Procfile {
  /** Command lines by process type, in the file's order, without `release`. */
  readonly processes: ReadonlyMap<string, string>;
  /** Command of the release phase. */
  readonly release: string | undefined;
}

/** Parses the text; '' is an empty Procfile. Throws `invalid` naming the line and what was expected. */
export function parseProcfile(text: string): Procfile {
  const processes = new Map<string, string>();
  const lineOf = new Map<string, number>();
  for (const [index, raw] of text.replace(/^\ufeff/, '').split('\n').entries()) {
    const line = raw.trim();
    const number = index + 1;
    if (line === '' || line.startsWith('#')) continue;
    if (line.length > maxLineChars) throw broken(number, `the line is longer than ${maxLineChars} characters`, line, 'put the command in a script');
    if (/^(<{7}|={7}|>{7}|\|{7})/.test(line)) throw broken(number, 'a merge conflict is not resolved', line, 'finish the merge, commit and push again');
    const match = /^([^\s:]+)\s*:(?:\s+(.*)|)$/.exec(line) ?? /^([A-Za-z0-9_-]+):(.+)$/.exec(line);
    const [type, command] = [match?.[1], match?.[2]?.trim()];
    if (type === undefined) throw broken(number, 'expected "type: command", such as "web: node server.js"', line);
    if (!command) throw broken(number, `the process type ${type} has no command`, line);
    checkType(type, number, line);
    const earlier = lineOf.get(type);
    if (earlier !== undefined) throw broken(number, `the process type ${type} is there twice, first in line ${earlier}`, line);
    lineOf.set(type, number);
    processes.set(type, command);
    if (processes.size > maxTypes) throw broken(number, `there are more than ${maxTypes} process types`, line);
  }
  const release = processes.get('release');
  processes.delete('release');
  return { processes, release };
}

function checkType(type: string, number: number, line: string): void {
  try {
    parseProcessType(type);
  } catch (error) {
    throw broken(number, (error as Error).message, line);
  }
}

function broken(number: number, reason: string, line: string, hint?: string): ForgeError {
  const shown = line.length > 120 ? `${line.slice(0, 120)}…` : line;
  return new ForgeError('invalid', `Procfile, line ${number}: ${reason}`, { details: [shown], ...(hint === undefined ? {} : { hint }) });
}
