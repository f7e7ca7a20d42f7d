/** What the commands of a test printed, for the case that it fails: an exit code alone tells nobody why. */

const keptCommands = 5;
const keptChars = 4_000;
let failed: string[] = [];

interface Ended {
  readonly escapedCommand: string;
  readonly exitCode?: number | undefined;
  readonly all?: unknown;
}

/** Remembers what the command printed, if it ends with other than 0. */
export function keepIfFailed<T extends PromiseLike<Ended>>(command: T): T {
  void command.then(({ exitCode, all, escapedCommand }) => {
    if (exitCode === 0) return;
    failed = [...failed, `${escapedCommand}\nended with ${exitCode ?? 'a signal'}:\n${String(all).slice(-keptChars)}`].slice(-keptCommands);
  });
  return command;
}

/** The last ones, oldest first, and forgets them. */
export function takeFailedCommands(): readonly string[] {
  const taken = failed;
  failed = [];
  return taken;
}
