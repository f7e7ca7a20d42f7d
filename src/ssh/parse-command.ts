import { ForgeError } from '../errors.ts';

/** Longest command line taken; Linux takes no longer argument either. */
const maxLength = 128 * 1024;

const isBlank = (character: string): boolean => ' \t\n\r'.includes(character);

/** Characters that a backslash protects inside double quotes; before any other the backslash stays. */
const protectedInQuotes = '"\\$`\n';

/**
 * Splits a command line into words as a POSIX shell does: blanks part words, '…' is literal, "…" knows backslashes,
 * a backslash protects the next character. Nothing is expanded or run: `$HOME`, `;`, `|` and `*` are plain characters.
 * Throws `invalid` for a quote that is never closed, a backslash at the end, a NUL, and lines over 128 KiB.
 */
export function parseCommand(line: string): string[] {
  if (line.length > maxLength) throw invalid('the command is too long', `at most ${maxLength} characters`);
  if (line.includes('\0')) throw invalid('the command contains a NUL character');
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (isBlank(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === "'" || character === '"') {
      const quoted = character === "'" ? readSingle(line, at) : readDouble(line, at);
      word = (word ?? '') + quoted.text;
      at = quoted.end;
    } else if (character === '\\') {
      at += 1;
      if (at === line.length) throw invalid('the command ends in a backslash');
      // Backslash and line end are nothing at all, not even a blank.
      if (line.charAt(at) !== '\n') word = (word ?? '') + line.charAt(at);
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

interface Quoted {
  readonly text: string;
  /** Index of the closing quote. */
  readonly end: number;
}

function readSingle(line: string, start: number): Quoted {
  const end = line.indexOf("'", start + 1);
  if (end === -1) throw unclosed("'");
  return { text: line.slice(start + 1, end), end };
}

function readDouble(line: string, start: number): Quoted {
  let text = '';
  for (let at = start + 1; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (character === '"') return { text, end: at };
    const next = line.charAt(at + 1);
    if (character === '\\' && next !== '' && protectedInQuotes.includes(next)) {
      if (next !== '\n') text += next;
      at += 1;
    } else {
      text += character;
    }
  }
  throw unclosed('"');
}

const unclosed = (quote: string): ForgeError => invalid(`the command has a ${quote} that is never closed`);

const invalid = (message: string, hint = 'quote words as in a shell'): ForgeError => new ForgeError('invalid', message, { hint });
