/**
 * Caps what all Dockerfile builds of the engine take together. BuildKit's API ignores limits, so the control group under
 * which its steps run gets them, from root: before the first build, since groups made later inherit the cap from above.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hostGroups } from './engine-builder.ts';

export interface BuildCaps {
  /** Of all builds together. */
  readonly memoryBytes: number;
  /** Weight of all builds together beside one instance, whose usual share is 1024. */
  readonly cpuShares: number;
  /** Processes and threads of all builds together. */
  readonly tasks: number;
}

/** Where the engine puts steps with its cgroupfs driver; with the systemd driver steps have no group in common. */
const group = join('docker', 'buildkit');

/** Needs root. False: there is no such group here, and forge only watches builds one by one. */
export async function capBuilds(caps: BuildCaps, cgroupDirectory = '/sys/fs/cgroup'): Promise<boolean> {
  const version = hostGroups(cgroupDirectory);
  if (version === undefined || (version === 2 && usesSystemd(cgroupDirectory))) return false;
  if (version === 1) {
    for (const [controller, file, value] of filesOfV1(caps)) await write(join(cgroupDirectory, controller, group), file, value);
    return true;
  }
  await handDownControllers(cgroupDirectory);
  for (const [file, value] of filesOfV2(caps)) await write(join(cgroupDirectory, group), file, value);
  return true;
}

/** The engine's own containers tell its driver: with systemd's they are scopes, and no `docker` group is made. */
const usesSystemd = (directory: string): boolean => existsSync(join(directory, 'system.slice')) && !existsSync(join(directory, 'docker'));

const filesOfV1 = ({ memoryBytes, cpuShares, tasks }: BuildCaps): (readonly [controller: string, file: string, value: string])[] => [
  ['memory', 'memory.limit_in_bytes', String(memoryBytes)],
  ['cpu', 'cpu.shares', String(cpuShares)],
  ['pids', 'pids.max', String(tasks)],
];

/** The kernel's own scale: shares of 2 to 262144 are weights of 1 to 10000. */
const filesOfV2 = ({ memoryBytes, cpuShares, tasks }: BuildCaps): (readonly [file: string, value: string])[] => [
  ['memory.max', String(memoryBytes)],
  ['cpu.weight', String(Math.round(1 + ((cpuShares - 2) * 9999) / 262_142))],
  ['pids.max', String(tasks)],
];

async function handDownControllers(directory: string): Promise<void> {
  await mkdir(join(directory, dirname(group)), { recursive: true });
  for (const folder of [directory, join(directory, dirname(group))]) await writeFile(join(folder, 'cgroup.subtree_control'), '+memory +cpu +pids');
}

async function write(folder: string, file: string, value: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, file), value);
}
