/** Text in aligned columns. */
import { stripVTControlCharacters } from 'node:util';
import type { Style } from './style.ts';

/** Rows below their headings, two blanks between columns, nothing after the last. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], style: Style): string {
  return align([headings.map(style.strong), ...rows]);
}

/** `name  value` lines, names aligned; pairs without a value are left out. */
export function facts(pairs: readonly (readonly [name: string, value: string | undefined])[], style: Style): string {
  return align(pairs.filter(([, value]) => value !== undefined).map(([name, value]) => [style.strong(name), value ?? '']));
}

/** A value on one line: what a terminal would act on or break at is written as an escape. */
export const oneLine = (text: string): string => text.replaceAll(/\p{Cc}/gu, (character) => escapes[character] ?? codeOf(character));

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const codeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

function align(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
  const line = (row: readonly string[]) => row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell))).join('  ').trimEnd();
  return rows.map(line).join('\n');
}

const widthOf = (cell: string): number => [...stripVTControlCharacters(cell)].length;
