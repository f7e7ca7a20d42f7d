/**
 * A stored line: `<time> <o|e|O|E> <text>\n`, o/e for stdout/stderr, upper case when the line goes on in the next
 * record of its stream (the engine splits lines at 16 KiB). Newlines cannot stand in a text: the engine splits there.
 */
import type { LogFrame } from '../../docker/log-frames.ts';

const letters = { stdout: 'o', stderr: 'e' } as const;

export interface LogRecord {
  readonly at: string;
  readonly stream: 'stdout' | 'stderr';
  readonly isPartial: boolean;
  /** Its bytes, one per character: a character may be cut in two where the engine split a line. See `textOf`. */
  readonly text: string;
}

export function encodeRecord({ at, stream, isPartial, text }: LogFrame): Buffer {
  const letter = isPartial ? letters[stream].toUpperCase() : letters[stream];
  return Buffer.concat([Buffer.from(`${at} ${letter} `, 'latin1'), text, Buffer.from('\n')]);
}

/** A line's text, once its parts are joined. */
export const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();

/** `undefined` for what is not a record, such as a line torn by a crash. `line` has one character per byte. */
export function decodeRecord(line: string): LogRecord | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\S+Z) ([oeOE]) (.*)$/s.exec(line);
  if (!match) return undefined;
  const [, at, letter, text] = match as unknown as [string, string, string, string];
  return { at, stream: letter.toLowerCase() === 'o' ? 'stdout' : 'stderr', isPartial: letter === letter.toUpperCase(), text };
}

/** Orders RFC 3339 times of any number of fraction digits: the engine drops trailing zeros. */
export function compareTimes(a: string, b: string): number {
  if (a.length === b.length) return a < b ? -1 : a === b ? 0 : 1;
  const [left, right] = [a, b].map((at) => at.replace(/(?:\.(\d+))?Z$/, (_, fraction: string | undefined) => `.${(fraction ?? '').padEnd(9, '0')}`));
  return (left as string) < (right as string) ? -1 : left === right ? 0 : 1;
}
