import { statfs } from 'node:fs/promises';
import { ForgeError } from '../errors.ts';

const gib = 1024 ** 3;

export interface FreeSpaceOptions {
  /** Directories whose disks are looked at: forge's data, the engine's. One that is not there or may not be seen is left out. */
  readonly directories: readonly string[];
  readonly minFreeBytes: number;
}

/** Throws `exhausted` with the figures when one of the disks has less free than the limit. */
export async function checkFreeSpace({ directories, minFreeBytes }: FreeSpaceOptions): Promise<void> {
  for (const directory of directories) {
    const stats = await statfs(directory).catch(() => undefined);
    if (!stats) continue;
    const freeBytes = stats.bavail * stats.bsize;
    if (freeBytes >= minFreeBytes) continue;
    const total = stats.blocks * stats.bsize;
    throw new ForgeError(
      'exhausted',
      `the disk of ${directory} is nearly full: ${inGib(freeBytes)} of ${inGib(total)} free, ${inGib(minFreeBytes)} needed; nothing was built`,
      { hint: 'free space (docker image prune removes images that nothing uses), or lower forge’s setting minFreeBytes' },
    );
  }
}

const inGib = (bytes: number): string => `${(bytes / gib).toFixed(bytes < 10 * gib ? 2 : 0)} GiB`;
