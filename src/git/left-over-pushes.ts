/** `git receive-pack` outlives a forge that was killed, and may be about to move a ref: until it has ended, a ref proves nothing. */
import { readdir, readFile } from 'node:fs/promises';
import { sep } from 'node:path';
import { delay } from '../wait.ts';

/** Its hook and its client are gone with forge, so it ends by itself, in milliseconds. */
const patienceMs = 10_000;
const lookEveryMs = 20;

/** Resolves when no earlier forge's `git receive-pack` works in a repository below `directory`; one that stays is killed. */
export async function endLeftOverPushes(directory: string, timeoutMs = patienceMs): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = await findReceivePacks(directory);
    if (left.length === 0) return;
    // Nobody is left who could still tell it no; the ref has moved or not, and stays so.
    if (performance.now() > deadline) left.forEach(endProcess);
    await delay(lookEveryMs);
  }
}

async function findReceivePacks(directory: string): Promise<readonly number[]> {
  const names = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(names.map(async (name) => ({ pid: Number(name), words: await wordsOf(name) })));
  return commands.filter(({ words }) => words.includes('receive-pack') && (words.at(-1) ?? '').startsWith(directory + sep)).map(({ pid }) => pid);
}

/** Empty for one that has ended meanwhile. */
const wordsOf = async (pid: string): Promise<readonly string[]> => (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1);

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself, or is somebody else's.
  }
}
