/** Room on the disks before a build: what nobody needs any more goes first, and only then is the build refused. */
import { checkFreeSpace } from '../build/free-space.ts';
import { isForgeError } from '../errors.ts';
import type { Attempt } from './attempt.ts';
import type { DeployParts } from './parts.ts';

/** Throws `exhausted` with the figures. Call with the app's turn. */
export async function makeRoom({ app, report, signal }: Attempt, { diskDirectories, config, reclaimSpace }: DeployParts): Promise<void> {
  const limits = { directories: diskDirectories, minFreeBytes: config.minFreeBytes };
  try {
    return await checkFreeSpace(limits);
  } catch (error) {
    if (!isForgeError(error) || error.code !== 'exhausted') throw error;
  }
  report.step('The disk is nearly full: removing what is no longer needed');
  await reclaimSpace(app, signal);
  await checkFreeSpace(limits);
}
