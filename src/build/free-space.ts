import { statfs } from 'node:fs/promises';
import { ForgeError, isForgeError } from '../errors.ts';
import { every } from '../wait.ts';

const gib = 1024 ** 3;
const intervalMs = 1_000;

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
      { hint: 'forge disk:report shows what takes the space, forge disk:clean removes what is no longer needed; or lower forge’s setting minFreeBytes' },
    );
  }
}

/**
 * A signal that aborts with `exhausted` when a build (or `what`) has filled the disk down to the limit, or with the parent's reason:
 * what one build writes must not stop every app on the machine. Disposing ends the watch.
 */
export function watchFreeSpace({ signal, what = 'the build', ...options }: FreeSpaceOptions & { readonly what?: string; readonly signal: AbortSignal }): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const look = async (): Promise<void> => {
    await checkFreeSpace(options).catch((error: unknown) => {
      if (!isForgeError(error)) throw error;
      controller.abort(new ForgeError('exhausted', error.message.replace('nothing was built', `${what} was ended`), error.hint === undefined ? {} : { hint: error.hint }));
    });
  };
  const timer = every(intervalMs, look, () => undefined);
  return { signal: AbortSignal.any([signal, controller.signal]), [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

const inGib = (bytes: number): string => `${(bytes / gib).toFixed(bytes < 10 * gib ? 2 : 0)} GiB`;
