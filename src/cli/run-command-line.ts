/** The `forge` command: what this machine does itself, and everything else as words for the running forge. */
import { exitStatusOf, ForgeError, isForgeError } from '../errors.ts';
import { dataDirectory } from './data-directory.ts';
import { findLocalCommand } from './local-command-list.ts';
import { runLocalCommand } from './local-commands.ts';
import type { CommandContext } from './command-context.ts';
import { sendCommand } from './send-command.ts';

/** Other spellings of a first word. */
const synonyms: Readonly<Record<string, string>> = { '--help': 'help', '-h': 'help', '--version': 'version', '-v': 'version' };

/** After these, `--data` is another program's flag or one of their own. */
const keepsItsWords: ReadonlySet<string> = new Set(['run', 'systemd-unit']);

/** Runs one command to its end and resolves to the exit status. Never rejects: failures are told on stderr. */
export async function runCommandLine(words: readonly string[], outside: Omit<CommandContext, 'data'>): Promise<number> {
  try {
    const { data: flag, rest } = takeData(words);
    const [first = 'help', ...others] = rest;
    const argv = [synonyms[first] ?? first, ...others];
    const context = { ...outside, data: dataDirectory({ flag, env: outside.env, cwd: outside.cwd }) };
    const local = findLocalCommand(argv);
    return local ? await runLocalCommand(local, argv, context) : await sendCommand(argv, context);
  } catch (error) {
    return tell(error, outside.stderr);
  }
}

/** `--data DIR` before the command, where it cannot be part of another program's command; daemons take it anywhere. */
function takeData(words: readonly string[]): { readonly data: string | undefined; readonly rest: readonly string[] } {
  const [first, second] = words;
  if (first === '--data') {
    if (second === undefined) throw new ForgeError('invalid', '--data needs a value: --data DIR');
    return { data: second, rest: words.slice(2) };
  }
  if (first?.startsWith('--data=')) return { data: first.slice('--data='.length), rest: words.slice(1) };
  // `forge apps --data DIR` reads as naturally.
  const at = first !== undefined && keepsItsWords.has(first) ? -1 : words.indexOf('--data');
  if (at < 0 || words[at + 1] === undefined) return { data: undefined, rest: words };
  return { data: words[at + 1], rest: words.toSpliced(at, 2) };
}

function tell(error: unknown, stderr: NodeJS.WritableStream): number {
  if (!isForgeError(error)) {
    stderr.write(` !     internal error\n${(error as Error).stack ?? String(error)}\n`);
    return exitStatusOf(error);
  }
  const lines = [` !     ${error.message}`, ...error.details.map((line) => `       ${line}`), ...(error.hint === undefined ? [] : [` !     ${error.hint}`])];
  if (!error.isReported) stderr.write(`${lines.join('\n')}\n`);
  return exitStatusOf(error);
}
