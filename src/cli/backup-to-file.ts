/** `forge backup`: the running forge writes it, this command puts it where the person who asked may write. */
import { createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { runSession } from '../control/client.ts';
import { ForgeError } from '../errors.ts';
import type { CommandContext } from './command-context.ts';
import { adminSocketOf } from './data-directory.ts';
import { localHelp } from './local-help.ts';

export async function backupToFile(rest: readonly string[], context: CommandContext): Promise<number> {
  const { values } = readFlags(rest);
  if (values.help) return await localHelp(['backup'], context);
  const argv = ['backup:create', ...(values.logs ? ['--logs'] : [])];
  if (values.to === undefined) return await ask(argv, context.stdout, context);
  const path = resolve(context.cwd, values.to);
  if (await stat(path).catch(() => undefined)) throw new ForgeError('conflict', `${path} exists already: nothing was written`, { hint: 'choose another name' });
  return await writeAside(path, async (output) => await ask(argv, output, context));
}

function readFlags(rest: readonly string[]) {
  try {
    return parseArgs({ args: [...rest], options: { to: { type: 'string' }, logs: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }, strict: true });
  } catch (error) {
    throw new ForgeError('invalid', `forge backup: ${(error as Error).message}`, { hint: 'forge backup [--to FILE] [--logs]', cause: error });
  }
}

async function ask(argv: readonly string[], stdout: Writable & { readonly isTTY?: boolean }, { data, stderr }: CommandContext): Promise<number> {
  if (stdout.isTTY) throw new ForgeError('invalid', 'a backup is no text for a terminal', { hint: 'forge backup --to FILE' });
  const stdin: Readable | undefined = undefined;
  return await runSession({ socketPath: adminSocketOf(data), hello: { kind: 'session', argv }, stdin, stdout, stderr });
}

/** The file appears when it is complete and on the disk; readable by its owner alone, from its first byte. */
async function writeAside(path: string, task: (output: Writable) => Promise<number>): Promise<number> {
  const aside = join(dirname(path), `${asidePrefix(path)}${process.pid}.part`);
  await removeLeftOvers(path);
  const output = createWriteStream(aside, { flags: 'wx', mode: 0o600, flush: true });
  const { promise: broken, reject } = Promise.withResolvers<never>();
  output.once('error', (error) => reject(new ForgeError('failed', `${path} could not be written: ${error.message}`, { hint: 'nothing of it was kept', cause: error })));
  try {
    const status = await Promise.race([task(output), broken]);
    output.end();
    await Promise.race([finished(output), broken]);
    if (status === 0) await rename(aside, path);
    return status;
  } finally {
    output.destroy();
    await rm(aside, { force: true });
  }
}

const asidePrefix = (path: string): string => `.${basename(path)}.`;

/** What was being written to the same file when the machine or this command was killed. What another one is writing stays. */
async function removeLeftOvers(path: string): Promise<void> {
  const [folder, prefix] = [dirname(path), asidePrefix(path)];
  for (const name of await readdir(folder).catch(() => [])) {
    const [, pid] = name.startsWith(prefix) ? (/^(\d+)\.part$/.exec(name.slice(prefix.length)) ?? []) : [];
    if (pid !== undefined && !isRunning(Number(pid))) await rm(join(folder, name), { force: true });
  }
}

/** This process is not: it has written nothing yet. */
function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
