/** Sends a command to the forge of a data directory and passes streams, terminal and exit status through. */
import type { Readable } from 'node:stream';
import { runSession } from '../control/client.ts';
import type { Terminal } from '../domain.ts';
import { adminSocketOf } from './data-directory.ts';
import { inputCommands, rawCommands } from './input-commands.ts';
import type { CommandContext } from './command-context.ts';

/** Resolves to the exit status. Rejects with `unavailable` when no forge answers there. */
export async function sendCommand(argv: readonly string[], context: CommandContext, source?: Readable): Promise<number> {
  const { stdin, stdout, stderr, data } = context;
  const command = argv[0] ?? '';
  const terminal = stdin.isTTY && stdout.isTTY ? terminalOf(stdout) : undefined;
  const isRaw = terminal !== undefined && rawCommands.has(command);
  if (isRaw) stdin.setRawMode(true);
  try {
    return await runSession({
      socketPath: adminSocketOf(data),
      hello: { kind: 'session', argv },
      stdin: source ?? (inputCommands.has(command) ? stdin : undefined),
      stdout,
      stderr,
      terminal,
    });
  } finally {
    if (isRaw) stdin.setRawMode(false);
  }
}

const terminalOf = (output: NodeJS.WriteStream): Terminal => ({
  columns: output.columns,
  rows: output.rows,
  onResize: (listener) => void output.on('resize', () => listener(output.columns, output.rows)),
});
