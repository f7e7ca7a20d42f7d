/** Puts a complete data directory in place of nothing, or of another that is set aside. Nothing is ever overwritten. */
import { access, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../replace-file.ts';
import { restoreMark } from '../store/store.ts';

const database = 'forge.db';
/** What of a forge that is replaced stays: it can be made again, or belongs to the machine. */
const stays = /^(?:cache|proxy|run|tmp|backups|lost\+found|before-restore-.*|\.restore-.*)$/;

/** Whether a forge's database is there. One whose restore was interrupted does not count: it never ran. */
export async function holdsForge(data: string): Promise<boolean> {
  return (await isThere(join(data, database))) && !(await isThere(join(data, restoreMark)));
}

export interface Placement {
  /** In the data directory. */
  readonly aside: string;
  readonly data: string;
  readonly isReplacing: boolean;
  readonly at: Date;
}

/**
 * Moves everything from `aside` into `data`. Until it is all there, a mark keeps forge from starting; a restore that was
 * interrupted is done again. Resolves to the folder with what was there before, if anything was in the way.
 */
export async function placeData({ aside, data, isReplacing, at }: Placement): Promise<string | undefined> {
  const names = (await readdir(aside)).sort((a, b) => Number(a === database) - Number(b === database));
  const present = new Set(await readdir(data));
  const mark = join(data, restoreMark);
  const inTheWay = [...present].filter((name) => name !== restoreMark && (names.includes(name) || (isReplacing && !stays.test(name)) || name.startsWith(`${database}-`)));
  await replaceFile(mark, `${at.toISOString()}\n`, 0o600);
  const before = join(data, `before-restore-${at.toISOString().replaceAll(/[-:]|\.\d+/g, '')}`);
  if (inTheWay.length > 0) await mkdir(before, { mode: 0o700 });
  for (const name of inTheWay) await rename(join(data, name), join(before, name));
  for (const name of names) await rename(join(aside, name), join(data, name));
  await syncFolder(data);
  await rm(mark);
  await syncFolder(data);
  return inTheWay.length > 0 ? before : undefined;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const isThere = async (path: string): Promise<boolean> =>
  await access(path).then(
    () => true,
    () => false,
  );
