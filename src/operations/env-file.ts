/** Variables from a .env file or a JSON object. Nothing is expanded: `$` is a plain character. */
import { ForgeError } from '../errors.ts';
import { parseEnvKey } from '../names.ts';

const assignment = /^[ \t]*(?:export[ \t]+)?([^\s=#]+)[ \t]*=[ \t]*/;
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$', '`': '`' };

/**
 * `KEY=plain # comment`, `KEY='as it is'`, `KEY="with \n escapes"`, quoted values over several lines, `export KEY=…`.
 * Text that begins with { is JSON with text values. Throws `invalid` with the line, never with a value.
 */
export function parseEnvFile(text: string): Record<string, string> {
  return text.trimStart().startsWith('{') ? parseJson(text) : parseLines(text);
}

function parseLines(text: string): Record<string, string> {
  const values = Object.create(null) as Record<string, string>;
  let rest = text.replaceAll('\r\n', '\n');
  let line = 1;
  while (rest !== '') {
    const end = rest.indexOf('\n');
    const first = end < 0 ? rest : rest.slice(0, end);
    let taken = first.length;
    if (!/^[ \t]*(#|$)/.test(first)) {
      const match = assignment.exec(first);
      if (!match?.[1]) throw wrong(line, 'expected KEY=VALUE');
      const value = readValue(rest.slice(match[0].length), line);
      values[checkKey(match[1], line)] = value.text;
      taken = match[0].length + value.length;
    }
    line += rest.slice(0, taken).split('\n').length;
    rest = rest.slice(taken + 1);
  }
  return values;
}

interface Value {
  readonly text: string;
  /** Characters up to the end of the line, which is left. */
  readonly length: number;
}

/** `rest` begins with the value and goes on to the end of the file. */
function readValue(rest: string, line: number): Value {
  const quote = rest[0];
  if (quote !== '"' && quote !== "'") {
    const whole = rest.split('\n', 1)[0] ?? '';
    return { text: whole.replace(/(^|[ \t])#.*$/, '').trimEnd(), length: whole.length };
  }
  const pattern = quote === '"' ? /^"((?:[^"\\]|\\[^])*)"([^\n]*)/ : /^'([^']*)'([^\n]*)/;
  const match = pattern.exec(rest);
  if (!match) throw wrong(line, `a ${quote} is never closed`);
  if (!/^[ \t]*(#.*)?$/.test(match[2] ?? '')) throw wrong(line, 'something follows the closing quote');
  const inner = match[1] ?? '';
  return { text: quote === '"' ? unescape(inner) : inner, length: match[0].length };
}

const unescape = (text: string): string => text.replaceAll(/\\([^])/g, (both, character: string) => escapes[character] ?? both);

function parseJson(text: string): Record<string, string> {
  const values = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(readObject(text))) {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new ForgeError('invalid', `${parseEnvKey(key)}: expected text, a number, true or false`);
    }
    values[parseEnvKey(key)] = String(value);
  }
  return values;
}

function readObject(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    // JSON.parse's message quotes the text, which holds secrets.
    throw new ForgeError('invalid', 'stdin begins like JSON but is none', { hint: 'check it with jq, or use KEY=VALUE lines' });
  }
}

function checkKey(key: string, line: number): string {
  try {
    return parseEnvKey(key);
  } catch (error) {
    throw new ForgeError('invalid', `line ${line}: ${(error as Error).message}`, { cause: error });
  }
}

const wrong = (line: number, what: string): ForgeError => new ForgeError('invalid', `line ${line}: ${what}`);
