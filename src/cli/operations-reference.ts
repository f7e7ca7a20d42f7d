/** docs/operations-reference.md as Markdown, printed from the list of operations and of this machine's own commands. */
import type { RequiredPermission } from '../operations/authorize.ts';
import { usageOf } from '../operations/help.ts';
import { type Field, inputForm } from '../operations/input-form.ts';
import type { Operation } from '../operations/operation.ts';
import { operations } from '../operations/operations.ts';
import { offeredLocalCommands } from './local-command-list.ts';

const introduction = `# Operations

Everything that a person can ask of forge. This page is printed from the program (\`npm run docs\`); [operations.md](operations.md)
explains how to run forge.

- On the machine: \`forge apps:list\`. Over SSH: \`ssh forge apps:list\` (the same words, without a leading \`forge\`).
- \`--json\` prints the result as JSON, \`--help\` the help. Exit statuses: [operations.md](operations.md#exit-statuses-and-errors).
- An app may also be named by \`-a APP\` or \`--app APP\` in place of the first word.
- **Who may**: \`view\` < \`deploy\` < \`operate\` < \`manage\` are levels on an app, carried by a key or a token; an admin may do all of it.
`;

const who: Readonly<Record<RequiredPermission, string>> = {
  anyone: 'everybody whom forge knows; shows only what they may see',
  view: '`view` on the app',
  deploy: '`deploy` on the app',
  operate: '`operate` on the app',
  manage: '`manage` on the app',
  admin: 'admins',
};

/** The whole page; ends with a line end. */
export function operationsReference(): string {
  return [introduction, ...operations.map(section), localSection()].join('\n');
}

function section(operation: Operation): string {
  const { positionals, flags } = inputForm(operation);
  const short = operation.aliases?.length ? ` Short: ${operation.aliases.map((alias) => `\`${alias}\``).join(', ')}.` : '';
  const rows = [...positionals.map((field) => row(field.placeholder, field)), ...flags.map((field) => row(flagNames(field), field))];
  return [
    `## ${operation.name}`,
    '',
    `${operation.summary}.${short}`,
    '',
    fenced(usageOf(operation)),
    '',
    `Who may: ${who[operation.permission]}${operation.target === 'new-app' ? '; admins also where there is no such app yet' : ''}.`,
    '',
    ...(rows.length === 0 ? [] : ['| word or flag | what it is |', '|---|---|', ...rows, '']),
    ...(operation.help === undefined ? [] : [fenced(operation.help), '']),
  ].join('\n');
}

const row = (name: string, { summary }: Field): string => `| \`${name.replaceAll('|', '\\|')}\` | ${summary.replaceAll('|', '\\|')} |`;

function flagNames({ short, flag, kind, choices, placeholder }: Field): string {
  const value = kind === 'switch' ? '' : ` ${choices.length > 0 ? choices.join('|') : placeholder}`;
  return `${short === undefined ? '' : `${short}, `}${flag}${value}`;
}

function localSection(): string {
  const rows = offeredLocalCommands.map(({ usage, summary }) => `| \`forge ${usage.replaceAll('|', '\\|')}\` | ${summary} |`);
  return ['## On the machine itself', '', 'These run without a running forge, or start one.', '', '| command | what it does |', '|---|---|', ...rows, ''].join('\n');
}

const fenced = (text: string): string => `\`\`\`text\n${text}\n\`\`\``;
