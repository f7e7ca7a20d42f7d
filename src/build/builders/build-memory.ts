/** Ends a build whose step uses more memory than the limit, where the engine does not. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatSize } from '../../config.ts';
import { ForgeError } from '../../errors.ts';
import { every } from '../../wait.ts';
import type { BuildGroup } from './engine-builder.ts';

const intervalMs = 200;

export interface BuildMemoryOptions {
  readonly groups: () => Promise<readonly BuildGroup[]>;
  readonly limitBytes: number;
  /** Commands of this build's steps that run now: tells its groups from those of other builds. */
  readonly running: () => readonly string[];
  readonly signal: AbortSignal;
}

/** A signal that aborts with `exhausted` once a step of this build holds more than the limit, or with the parent's reason. Disposing ends the watch. */
export function watchBuildMemory({ groups, limitBytes, running, signal }: BuildMemoryOptions): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const look = async (): Promise<void> => {
    const commands = running();
    if (commands.length === 0) return;
    const all = await groups();
    for (const group of all) {
      if ((await usedBytes(group)) <= limitBytes) continue;
      const command = (await commandOf(group, commands)) ?? (all.length === 1 ? commands[0] : undefined);
      if (command !== undefined) controller.abort(exceeded(command, limitBytes));
    }
  };
  // A group that vanishes while it is read is a step that ended.
  const timer = every(intervalMs, look, () => undefined);
  return { signal: AbortSignal.any([signal, controller.signal]), [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

/** What the processes hold, without the page cache, which the kernel takes back by itself. */
async function usedBytes({ path, version }: BuildGroup): Promise<number> {
  const stat = await readFile(join(path, 'memory.stat'), 'utf8');
  const wanted = version === 1 ? ['total_rss', 'total_shmem'] : ['anon', 'shmem'];
  return wanted.reduce((sum, name) => sum + Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0), 0);
}

/** The step that a group runs: the engine starts it as `/bin/sh -c <command>`, so its first process names it. */
async function commandOf({ path }: BuildGroup, commands: readonly string[]): Promise<string | undefined> {
  const pids = (await readFile(join(path, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean);
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  const texts = lines.map((line) => squeezed(line.replaceAll('\0', ' ')));
  return commands.find((command) => texts.some((text) => text.includes(squeezed(command))));
}

/** The Dockerfile's parser joins continued lines and drops comments; spacing is what differs. */
const squeezed = (text: string): string => text.replaceAll(/[\s\\]+/g, ' ').trim();

const exceeded = (command: string, limitBytes: number): ForgeError =>
  new ForgeError('exhausted', `the build step "${command.slice(0, 200)}" used more memory than the limit of ${formatSize(limitBytes)} and was ended`, {
    hint: 'make the step use less, or raise forge’s setting buildMemory',
  });
