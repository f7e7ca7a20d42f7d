/** Ends a build whose step uses more memory or processes than the limit, where the engine does not. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatSize } from '../../config.ts';
import { ForgeError } from '../../errors.ts';
import { every } from '../../wait.ts';
import type { BuildGroup } from './engine-builder.ts';

const intervalMs = 200;
/** As in builds with buildpacks; compilers that use every core stay far below. */
const maxTasks = 4096;
/** Processes of a group that are asked what they run. */
const maxLookedAt = 256;

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
    for (const { group, problem } of await findExcessive(await groups(), limitBytes)) {
      const command = await ownCommand(group, await groups(), commands);
      if (command !== undefined) controller.abort(exceeded(command, problem));
    }
  };
  // A group that vanishes while it is read is a step that ended.
  const timer = every(intervalMs, look, () => undefined);
  return { signal: AbortSignal.any([signal, controller.signal]), [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

async function findExcessive(all: readonly BuildGroup[], limitBytes: number): Promise<{ readonly group: BuildGroup; readonly problem: Problem }[]> {
  const found = await Promise.all(all.map(async (group) => ({ group, problem: await problemOf(group, limitBytes).catch(() => undefined) })));
  return found.flatMap(({ group, problem }) => (problem === undefined ? [] : [{ group, problem }]));
}

interface Problem {
  readonly what: string;
  readonly hint: string;
}

async function problemOf(group: BuildGroup, limitBytes: number): Promise<Problem | undefined> {
  if ((await usedBytes(group)) > limitBytes) {
    return { what: `memory than the limit of ${formatSize(limitBytes)}`, hint: 'make the step use less, or raise forge’s setting buildMemory' };
  }
  return (await countTasks(group)) > maxTasks ? { what: `processes than the limit of ${maxTasks}`, hint: 'make the step start fewer at one time' } : undefined;
}

/** Processes and threads. */
async function countTasks({ path, version }: BuildGroup): Promise<number> {
  if (version === 2) return Number(await readFile(join(path, 'pids.current'), 'utf8'));
  return (await readFile(join(path, 'tasks'), 'utf8')).split('\n').length - 1;
}

/**
 * The command of this build that the group runs. A step can replace the process that names it; its command is then one
 * that no group shows, and that group is taken for this build's.
 */
async function ownCommand(group: BuildGroup, all: readonly BuildGroup[], commands: readonly string[]): Promise<string | undefined> {
  const shown = await commandOf(group, commands);
  if (shown !== undefined || all.length === 1) return shown ?? commands[0];
  const others = await Promise.all(all.map((other) => commandOf(other, commands).catch(() => undefined)));
  return commands.find((command) => !others.includes(command));
}

/** What the processes hold, without the page cache, which the kernel takes back by itself. */
async function usedBytes({ path, version }: BuildGroup): Promise<number> {
  const stat = await readFile(join(path, 'memory.stat'), 'utf8');
  const wanted = version === 1 ? ['total_rss', 'total_shmem'] : ['anon', 'shmem'];
  return wanted.reduce((sum, name) => sum + Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0), 0);
}

/** The step that a group runs: the engine starts it as `/bin/sh -c <command>`, so its first process names it. */
async function commandOf({ path }: BuildGroup, commands: readonly string[]): Promise<string | undefined> {
  const pids = (await readFile(join(path, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean).slice(0, maxLookedAt);
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  const texts = lines.map((line) => squeezed(line.replaceAll('\0', ' ')));
  return commands.find((command) => texts.some((text) => text.includes(squeezed(command))));
}

/** The Dockerfile's parser joins continued lines and drops comments; spacing is what differs. */
const squeezed = (text: string): string => text.replaceAll(/[\s\\]+/g, ' ').trim();

const exceeded = (command: string, { what, hint }: Problem): ForgeError =>
  new ForgeError('exhausted', `the build step "${command.slice(0, 200)}" used more ${what} and was ended`, { hint });
