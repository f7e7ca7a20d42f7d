import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { abortError } from '../errors.ts';

const blockBytes = 512;

/** Bytes that a file, or a folder with all that is in it, takes on the disk. What goes meanwhile counts as nothing. */
export async function weighFolder(path: string, signal: AbortSignal): Promise<number> {
  if (signal.aborted) throw abortError(signal);
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return 0;
  let bytes = stats.blocks * blockBytes;
  if (stats.isDirectory()) for (const name of await readdir(path).catch(() => [])) bytes += await weighFolder(join(path, name), signal);
  return bytes;
}
