import { replaceFile } from '../replace-file.ts';

export interface AuthorizedKey {
  readonly name: string;
  /** `ssh-ed25519` */
  readonly type: string;
  /** Base64 of the key's wire format. */
  readonly blob: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/**
 * Program and first arguments of the relay. Without V8's background threads: now and then one of them keeps Node from
 * exiting (it waits for a collection by the main thread, which waits for it to end), and the person's ssh would hang.
 */
export const relayCommand = (nodePath: string, relayPath: string, socketPath: string): readonly string[] => [nodePath, '--single-threaded', relayPath, socketPath];

/**
 * Replaces the file that the machine's OpenSSH reads keys from, in one step: sshd sees all the old keys or all the new
 * ones, also while forge is down. Only the owner can read it. `command` is the relay with its first arguments.
 */
export async function writeAuthorizedKeys(path: string, keys: readonly AuthorizedKey[], command: readonly string[]): Promise<void> {
  await replaceFile(path, formatAuthorizedKeys(keys, command), 0o600);
}

/** One line a key: no forwarding, no rc file, a terminal if asked for, and nothing but the relay to run. */
export function formatAuthorizedKeys(keys: readonly AuthorizedKey[], command: readonly string[]): string {
  const note = '# Written by forge from its keys; changes are lost. Add a key with: forge keys:add\n';
  return note + keys.map((key) => `${formatKey(key, command)}\n`).join('');
}

function formatKey({ name, type, blob, fingerprint }: AuthorizedKey, program: readonly string[]): string {
  const isWellFormed = /^[a-z0-9@.-]+$/.test(type) && /^[A-Za-z0-9+/]+={0,2}$/.test(blob) && /^SHA256:[A-Za-z0-9+/]+$/.test(fingerprint);
  if (!isWellFormed) throw new Error(`key ${JSON.stringify(name)} is not well formed`);
  // With exec the relay is sshd's own child, and sees when sshd's process for this client ends.
  const command = ['exec', ...[...program, fingerprint].map(quoteForShell)].join(' ');
  if (/[\r\n\0]/.test(command)) throw new Error('the relay’s path has a line end');
  return `restrict,pty,command="${command.replaceAll('"', '\\"')}" ${type} ${blob} ${name.replaceAll(/[^\w .@+-]/g, '_')}`;
}

/** sshd hands the line to the login account's shell; the words in it are forge's own. */
const quoteForShell = (word: string): string => (/^[\w/.:=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
