/** State files: a reader, or a crash, sees the old content or the new, never half of it. */
import { open, rename, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';

/**
 * Writes the file aside with `mode` from its first byte, fsyncs it, renames it into place and fsyncs the folder,
 * which must exist. On failure the old content stays and nothing is left behind.
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    const file = await open(aside, 'wx', mode);
    try {
      // The umask took bits away that the reader may need.
      await file.chmod(mode);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
