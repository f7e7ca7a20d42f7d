/** `git receive-pack` outlives a forge that was killed, and may be about to move a ref: until it has ended, a ref proves nothing. */
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, sep } from 'node:path';
import type { Log } from '../log.ts';
import { delay } from '../wait.ts';

/** Its hook and its client are gone with forge, so it ends by itself, in milliseconds. */
const patienceMs = 10_000;
/** A process that was killed and stays hangs in the kernel (a disk that does not answer): forge must start all the same. */
const killedPatienceMs = 5_000;
const lookEveryMs = 20;

export interface LeftOverOptions {
  readonly log: Log;
  readonly patienceMs?: number;
  readonly killedPatienceMs?: number;
  /** Ends a process at once. */
  readonly kill?: (pid: number) => void;
}

/**
 * Resolves when no earlier forge's `git receive-pack` works in a repository below `directory`; one that stays is killed.
 * Never waits longer than both patiences together: what is left then is told in the log.
 */
export async function endLeftOverPushes(directory: string, options: LeftOverOptions): Promise<void> {
  const { log, kill = endProcess } = options;
  const killFrom = performance.now() + (options.patienceMs ?? patienceMs);
  const leaveFrom = killFrom + (options.killedPatienceMs ?? killedPatienceMs);
  for (;;) {
    const left = await findReceivePacks(directory);
    if (left.length === 0) return;
    if (performance.now() > leaveFrom) return log.error({ pids: left }, 'pushes of an earlier forge do not end, though killed: going on without them');
    // Nobody is left who could still tell it no; the ref has moved or not, and stays so.
    if (performance.now() > killFrom) left.forEach(kill);
    await delay(lookEveryMs);
  }
}

async function findReceivePacks(directory: string): Promise<readonly number[]> {
  const names = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(names.map(async (name) => ((await isReceivePack(name, directory)) ? [Number(name)] : [])));
  return found.flat();
}

/** Anybody can give a process these words, in an app's container too: it counts only as a git that forge itself could have started. */
async function isReceivePack(pid: string, directory: string): Promise<boolean> {
  const words = await wordsOf(pid);
  return words.includes('receive-pack') && (words.at(-1) ?? '').startsWith(directory + sep) && (await isOwnGit(pid));
}

/** Empty for one that has ended meanwhile. */
const wordsOf = async (pid: string): Promise<readonly string[]> => (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1);

/** Of forge's user, outside containers, and running git's program. */
async function isOwnGit(pid: string): Promise<boolean> {
  try {
    const [{ uid }, program, namespace, ownNamespace] = await Promise.all([stat(`/proc/${pid}`), readlink(`/proc/${pid}/exe`), readlink(`/proc/${pid}/ns/pid`), readlink('/proc/self/ns/pid')]);
    // The kernel adds that to a program that was replaced by an upgrade.
    return uid === process.geteuid?.() && namespace === ownNamespace && basename(program.replace(/ \(deleted\)$/, '')) === 'git';
  } catch {
    // It has ended meanwhile, or is none that forge may look at, and so none of its own.
    return false;
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
