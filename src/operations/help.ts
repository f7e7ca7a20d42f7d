/** Help of one operation and of all, made from the list. */
import type { Field } from './input-form.ts';
import { inputForm } from './input-form.ts';
import type { Operation } from './operation.ts';
import type { Style } from './style.ts';

const everywhere: readonly (readonly [string, string])[] = [
  ['--json', 'Print the result as JSON'],
  ['-h, --help', 'Print this help'],
];

/** `apps:logs APP [-f] [-n N]` */
export function usageOf(operation: Operation): string {
  const { positionals, flags } = inputForm(operation);
  const words = positionals.map((field) => (field.isRequired ? wordOf(field) : `[${wordOf(field)}]`));
  const options = flags.map((field) => (field.isRequired ? flagOf(field) : `[${flagOf(field)}]`));
  const parts = operation.isCommandLine ? [...options, ...words] : [...words, ...options];
  return ['forge', operation.name, ...parts].join(' ');
}

export function helpOf(operation: Operation, style: Style): string {
  const { positionals, flags } = inputForm(operation);
  const rows: (readonly [string, string])[] = [
    ...positionals.map((field) => [wordOf(field), field.summary] as const),
    ...((operation.target === 'app' || operation.target === 'new-app') && operation.positionals.includes('app') ? [['-a, --app APP', 'Names the app in place of the first word'] as const] : []),
    ...flags.map((field) => [[field.short, flagOf({ ...field, short: undefined })].filter(Boolean).join(', '), field.summary] as const),
    ...everywhere,
  ];
  return [
    `${style.strong(usageOf(operation))}`,
    '',
    ...(operation.aliases?.length ? [`${operation.summary}. Short: ${operation.aliases.join(', ')}`] : [`${operation.summary}.`]),
    '',
    columns(rows),
    ...(operation.help === undefined ? [] : ['', operation.help]),
  ].join('\n');
}

/** All operations, a group per noun in the order of the list. */
export function helpOfAll(operations: readonly Operation[], style: Style): string {
  const nouns = [...new Set(operations.map(nounOf))];
  const width = Math.max(...operations.map(({ name }) => name.length));
  const groups = nouns.map((noun) => {
    const rows = operations.filter((operation) => nounOf(operation) === noun);
    return rows.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n');
  });
  const short = operations.flatMap(({ name, aliases = [] }) => aliases.map((alias) => `${alias} = ${name}`)).join(', ');
  return [style.strong('forge COMMAND [words and flags]'), '', groups.join('\n\n'), '', `Short forms: ${short}`, 'Every command takes --json and --help.'].join('\n');
}

/** Settings have a noun each; they stand together. */
function nounOf({ name }: Operation): string {
  const [noun = '', verb] = name.split(':');
  if (verb === undefined) return '';
  return verb === 'set' && noun !== 'config' ? 'settings' : noun;
}

const wordOf = (field: Field): string => (field.kind === 'list' || field.kind === 'pairs' ? `${field.placeholder}…` : field.placeholder);

function flagOf(field: Field): string {
  const name = field.short ?? field.flag;
  if (field.kind === 'switch') return name;
  const value = field.choices.length > 0 ? field.choices.join('|') : field.placeholder;
  return `${name} ${value}${field.kind === 'list' || field.kind === 'pairs' ? ' …' : ''}`;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd()).join('\n');
}
