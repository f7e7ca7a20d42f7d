import { helpOf, helpOfAll } from '../operations/help.ts';
import { findOperation, operations } from '../operations/operations.ts';
import { createStyle } from '../operations/style.ts';
import { findLocalCommand, offeredLocalCommands } from './local-command-list.ts';
import type { CommandContext } from './command-context.ts';

/** Help needs no running forge: the list of operations is part of the program. */
export async function localHelp(rest: readonly string[], { stdout }: CommandContext): Promise<number> {
  const style = createStyle(stdout.isTTY === true);
  const words = rest.filter((word) => !word.startsWith('-'));
  const local = findLocalCommand(words);
  const isOperation = operations.some(({ name }) => name === words[0]);
  if (words.length === 0) stdout.write(`${helpOfAll(operations, style)}\n\n${style.strong('On this machine')}\n\n${localList()}\n`);
  else if (local && !isOperation) stdout.write(`${style.strong(`forge ${local.usage}`)}\n\n${local.summary}.\n`);
  else stdout.write(`${helpOf(findOperation(words[0] ?? ''), style)}\n`);
  return 0;
}

function localList(): string {
  const only = offeredLocalCommands.filter(({ words }) => !operations.some(({ name }) => name === words.join(' ')));
  const width = Math.max(...only.map(({ words }) => words.join(' ').length));
  return only.map(({ words, summary }) => `  ${words.join(' ').padEnd(width)}  ${summary}`).join('\n');
}
