/**
 * Reads the repository from inside the hook, where the pushed objects are visible: to everybody else git hides them in
 * its quarantine until the hook has said yes. Git finds its way by the environment that receive-pack gave the hook.
 */
// The hook starts anew with every push and must not load what src/run-process.ts needs.
// eslint-disable-next-line no-restricted-imports
import { spawn } from 'node:child_process';
import { PassThrough, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { RefUpdate } from '../domain.ts';
import { isZero, type PushedObjects } from './check-updates.ts';

export async function readPushedObjects(updates: readonly RefUpdate[]): Promise<PushedObjects> {
  const ids = [...new Set(updates.map(({ newId }) => newId))].filter((id) => !isZero(id));
  const [refs, types] = await Promise.all([
    git(['for-each-ref', '--format=%(objectname) %(refname)']),
    git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], `${ids.join('\n')}\n`),
  ]);
  return { refs: new Map(rows(refs).map(([id, ref]) => [ref, id])), types: new Map(rows(types).filter(([, type]) => type !== 'missing')) };
}

/** Paths of submodules in the commit's tree; `git archive` would leave empty folders in their place. */
export async function findSubmodules(commit: string): Promise<readonly string[]> {
  const listing = await git(['ls-tree', '-r', '-z', '--full-tree', commit]);
  if (!listing.includes('160000 ')) return [];
  return listing.split('\0').filter((line) => line.startsWith('160000 ')).map((line) => line.slice(line.indexOf('\t') + 1));
}

/** The commit's files as a tar. The stream breaks off with an error when git does. */
export function openArchive(commit: string): Readable {
  // Without a checked-out tree `info/attributes` is what decides, and it turns every conversion off.
  const child = start(['-c', 'tar.umask=0022', 'archive', '--format=tar', commit]);
  const archive = new PassThrough({ highWaterMark: 256 * 1024 });
  const ended = exitOf(child, 'archive');
  ended.catch((error: Error) => archive.destroy(error));
  void pipeline(child.stdout, archive, { end: false })
    .then(() => ended)
    .then(() => archive.end())
    .catch((error: Error) => archive.destroy(error));
  return archive;
}

const rows = (text: string): [string, string][] => text.split('\n').flatMap((line) => {
  const space = line.indexOf(' ');
  return space === -1 ? [] : [[line.slice(0, space), line.slice(space + 1)] as [string, string]];
});

/** Errors of git go straight to the pusher. */
const start = (args: readonly string[]) => spawn('git', args, { stdio: ['pipe', 'pipe', 'inherit'] });

async function git(args: readonly string[], input = ''): Promise<string> {
  const child = start(args);
  child.stdin.on('error', () => undefined).end(input);
  const [output] = await Promise.all([buffer(child.stdout), exitOf(child, args[0] ?? '')]);
  return output.toString();
}

async function exitOf(child: ReturnType<typeof start>, what: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on('error', reject);
  child.on('close', (status, signal) => (status === 0 ? resolve() : reject(new Error(`git ${what} ended with ${signal ?? status}`))));
  await promise;
}
