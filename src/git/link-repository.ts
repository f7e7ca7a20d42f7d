/** A second bare repository that shares the files of the first: a moment of it, while pushes go on. */
import { copyFile, link, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What a push under way or a killed git leaves: never part of a repository. */
const unfinished = /^(?:tmp_|incoming-)|\.lock$/;
const maxRounds = 20;

/**
 * Makes `to` a repository with the refs of this moment and every object that they lead to. Git never changes a file in
 * place, so that linked files stay as they are. Refs come first, objects after them: whatever a ref names was complete
 * before the ref was moved. A pack that `compact` removes meanwhile has been replaced by another: objects are listed again.
 */
export async function linkRepository(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  const entries = await readdir(from, { withFileTypes: true });
  // packed-refs before refs/ would miss a ref that is packed in between; the other way round it is only there twice.
  const ordered = entries.filter(({ name }) => name !== 'objects' && name !== 'packed-refs').map(({ name }) => name);
  for (const name of [...ordered, 'packed-refs']) await linkTree(join(from, name), join(to, name));
  for (let round = 1; !(await linkTree(join(from, 'objects'), join(to, 'objects'))); round++) {
    if (round === maxRounds) throw new Error(`${from} does not stand still`);
  }
}

/** Links what is not there yet. False: something vanished between listing and linking. */
async function linkTree(from: string, to: string): Promise<boolean> {
  try {
    const entries = await readdir(from, { withFileTypes: true });
    await mkdir(to, { recursive: true, mode: 0o700 });
    let isWhole = true;
    for (const entry of entries) {
      if (unfinished.test(entry.name)) continue;
      const [source, target] = [join(from, entry.name), join(to, entry.name)];
      isWhole = (entry.isDirectory() ? await linkTree(source, target) : await linkFile(source, target)) && isWhole;
    }
    return isWhole;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR') return await linkFile(from, to);
    if (code === 'ENOENT') return false;
    throw error;
  }
}

async function linkFile(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return true;
    if (code === 'ENOENT') return false;
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK') throw error;
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await copyFile(from, to);
    return true;
  }
}
