/**
 * What sshd runs for a person who logged in through the machine's OpenSSH: `relay <socket> <fingerprint of the key>`.
 * Connects that person with forge and nothing more: it decides nothing, and knows of no other key than sshd's. Imports
 * only Node's builtins and the control client, because it is started for every command.
 */
import { runSession } from '../control/client.ts';
import type { Terminal } from '../domain.ts';
import { exitStatusOf, ForgeError, isForgeError } from '../errors.ts';
import { every } from '../wait.ts';

const parentCheckMs = 250;

process.exit(await relay());

async function relay(): Promise<number> {
  const gone = new AbortController();
  using _watch = watchParent(() => gone.abort(new ForgeError('canceled', 'the client disconnected')));
  try {
    const [socketPath, keyFingerprint, ...rest] = process.argv.slice(2);
    if (socketPath === undefined || keyFingerprint === undefined || rest.length > 0) throw new ForgeError('invalid', 'usage: relay SOCKET FINGERPRINT');
    const { SSH_ORIGINAL_COMMAND: command = '', GIT_PROTOCOL: gitProtocol } = process.env;
    const hello = { kind: 'door', keyFingerprint, command, ...(gitProtocol === undefined ? {} : { gitProtocol }) } as const;
    return await runSession({ socketPath, hello, stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, terminal: openTerminal(), signal: gone.signal });
  } catch (error) {
    await new Promise<void>((resolve) => process.stderr.write(explain(error), () => resolve()));
    return exitStatusOf(error);
  }
}

/**
 * A client that leaves and one that only ends its input look the same on stdin, and a pipe tells of its lost reader only
 * when written to. But sshd's process for this client ends with the connection, and we then have another parent.
 */
function watchParent(onGone: () => void): Disposable {
  const parent = process.ppid;
  const check = async (): Promise<void> => {
    if (process.ppid !== parent) onGone();
  };
  return every(parentCheckMs, check, onGone);
}

/** With a terminal every key goes to forge as it is, and forge hears of new sizes. */
function openTerminal(): Terminal | undefined {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return undefined;
  stdin.setRawMode(true);
  return {
    columns: stdout.columns || 80,
    rows: stdout.rows || 24,
    onResize: (listener) => void stdout.on('resize', () => listener(stdout.columns, stdout.rows)),
  };
}

function explain(error: unknown): string {
  if (!isForgeError(error)) return ` !     the relay to forge failed: ${String(error)}\n`;
  const hint = error.code === 'unavailable' ? 'try again in a moment; if it stays so, the operator looks with: systemctl status forge' : error.hint;
  return [error.message, ...(hint === undefined ? [] : [hint])].map((line) => ` !     ${line}\n`).join('');
}
