/** Words of a command line → the input of an operation. Values pass byte for byte: nothing is unquoted, expanded or made a number unasked. */
import { ForgeError } from '../errors.ts';
import { inputForm } from './input-form.ts';
import type { Field } from './input-form.ts';
import type { Operation } from './operation.ts';
import { usageOf } from './help.ts';

export interface ParsedArguments {
  /** Not yet checked against the operation's schema. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly isHelp: boolean;
  readonly isJson: boolean;
}

interface Parse {
  readonly operation: Operation;
  readonly flags: ReadonlyMap<string, Field>;
  readonly values: Map<string, unknown>;
  readonly words: string[];
  isHelp: boolean;
  isJson: boolean;
}

/** `words` without the operation's name. Throws `invalid` for what the operation does not take. */
export function parseArguments(operation: Operation, words: readonly string[]): ParsedArguments {
  const state: Parse = { operation, flags: flagTable(operation), values: new Map(), words: [], isHelp: false, isJson: false };
  let areFlagsOver = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!areFlagsOver && word === '--') areFlagsOver = true;
    else if (areFlagsOver || !isFlag(word)) {
      state.words.push(word);
      areFlagsOver ||= operation.isCommandLine === true && state.words.length >= waitingFields(state).length;
    } else at += takeFlag(state, word, words[at + 1]);
  }
  if (!state.isHelp) takeWords(state);
  return { input: Object.fromEntries(state.values), isHelp: state.isHelp, isJson: state.isJson };
}

/** Positionals that a flag has not answered, such as the app after `-a`. */
const waitingFields = ({ operation, values }: Parse): readonly Field[] => inputForm(operation).positionals.filter(({ key }) => !values.has(key));

/** A lone `-` is a word, as programs commonly have it. */
const isFlag = (word: string): boolean => word.startsWith('-') && word !== '-';

function flagTable(operation: Operation): ReadonlyMap<string, Field> {
  const { flags, positionals } = inputForm(operation);
  const app = operation.target === 'app' || operation.target === 'new-app' ? positionals.filter(({ key }) => key === 'app') : [];
  const named = [...flags, ...app].flatMap((field): [string, Field][] => [
    [field.flag, field],
    ...(field.short === undefined ? [] : [[field.short, field] as [string, Field]]),
  ]);
  return new Map(named);
}

function takeWords(state: Parse): void {
  const waiting = [...waitingFields(state)];
  for (const word of state.words) {
    const field = waiting[0];
    if (!field) throw wrong(state.operation, `${state.operation.name} takes no further words: ${shown(word)}`);
    if (field.kind === 'list') add(state, field, word);
    else if (field.kind === 'pairs') addPair(state, field, word);
    else {
      waiting.shift();
      state.values.set(field.key, convert(state, field, word));
    }
  }
}

/** Returns how many further words the flag took. */
function takeFlag(state: Parse, word: string, next: string | undefined): number {
  const [name, inline] = splitInline(word);
  if (name === '--help' || name === '-h') state.isHelp = true;
  else if (name === '--json') state.isJson = true;
  else {
    const field = state.flags.get(name);
    if (!field) throw wrong(state.operation, `${state.operation.name} has no flag ${shown(name)}`);
    if (field.kind !== 'switch') return takeValue(state, field, { name, inline, next });
    state.values.set(field.key, field.sets);
    if (inline === undefined) return 0;
    if (name.startsWith('--')) throw wrong(state.operation, `${name} takes no value`);
    // `-fp web` is `-f -p web`.
    return takeFlag(state, `-${inline}`, next);
  }
  if (inline !== undefined) throw wrong(state.operation, `${name} takes no value`);
  return 0;
}

function takeValue(state: Parse, field: Field, { name, inline, next }: { name: string; inline: string | undefined; next: string | undefined }): number {
  const value = inline ?? next;
  if (value === undefined) throw wrong(state.operation, `${name} needs a value: ${name} ${field.placeholder}`);
  if (field.kind === 'list') add(state, field, value);
  else if (field.kind === 'pairs') addPair(state, field, value);
  else state.values.set(field.key, convert(state, field, value));
  return inline === undefined ? 1 : 0;
}

/** `--lines=5` and `-n5` carry their value with them. */
function splitInline(word: string): [name: string, inline: string | undefined] {
  if (!word.startsWith('--')) return word.length > 2 ? [word.slice(0, 2), word.slice(2)] : [word, undefined];
  const at = word.indexOf('=');
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function add(state: Parse, field: Field, value: string): void {
  const list = (state.values.get(field.key) as string[] | undefined) ?? [];
  list.push(value);
  state.values.set(field.key, list);
}

function addPair(state: Parse, field: Field, word: string): void {
  const at = word.indexOf('=');
  // The word is not shown: it may be a secret whose key was forgotten.
  if (at <= 0) throw wrong(state.operation, `${state.operation.name} takes ${field.placeholder}; one of the words has no name before an =`);
  const key = word.slice(0, at);
  const text = word.slice(at + 1);
  // No prototype: a key may be called __proto__.
  const pairs = (state.values.get(field.key) as Record<string, unknown> | undefined) ?? (Object.create(null) as Record<string, unknown>);
  pairs[key] = field.isNumeric ? wholeNumber(state, key, text) : text;
  state.values.set(field.key, pairs);
}

function convert(state: Parse, field: Field, text: string): unknown {
  return field.kind === 'number' ? wholeNumber(state, field.flag, text) : text;
}

function wholeNumber(state: Parse, name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw wrong(state.operation, `${name}: expected a whole number, found ${shown(text)}`);
  return Number(text);
}

const shown = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

const wrong = (operation: Operation, message: string): ForgeError => new ForgeError('invalid', message, { hint: `usage: ${usageOf(operation)}` });
