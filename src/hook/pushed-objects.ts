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
import { ForgeError } from '../errors.ts';
import { isZero, type PushedObjects } from './check-updates.ts';

export async function readPushedObjects(updates: readonly RefUpdate[]): Promise<PushedObjects> {
  const ids = [...new Set(updates.map(({ newId }) => newId))].filter((id) => !isZero(id));
  const [refs, types] = await Promise.all([
    git(['for-each-ref', '--format=%(objectname) %(refname)']),
    git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], `${ids.join('\n')}\n`),
  ]);
  return { refs: new Map(rows(refs).map(([id, ref]) => [ref, id])), types: new Map(rows(types).filter(([, type]) => type !== 'missing')) };
}

/** Beyond this a tree is no source: a few small objects can name billions of files, and git holds the names of all in memory. */
const maxFiles = 1_000_000;
const maxLineChars = 16 * 1024;

/**
 * Paths of submodules in the commit's tree; `git archive` would leave empty folders in their place. Throws `invalid`
 * for a tree of more than a million files, which nothing may unpack.
 */
export async function findSubmodules(commit: string): Promise<readonly string[]> {
  const child = start(['ls-tree', '-r', '-z', '--full-tree', commit]);
  const ended = exitOf(child, 'ls-tree');
  ended.catch(() => undefined);
  try {
    const submodules = await readTree(child.stdout);
    await ended;
    return submodules;
  } finally {
    child.kill();
  }
}

async function readTree(listing: Readable): Promise<readonly string[]> {
  const submodules: string[] = [];
  let files = 0;
  let rest = '';
  for await (const chunk of listing as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString('latin1')).split('\0');
    rest = lines.pop() ?? '';
    files += lines.length;
    if (files > maxFiles) throw new ForgeError('invalid', `its tree names more than ${maxFiles} files`);
    if (rest.length > maxLineChars) throw new ForgeError('invalid', `its tree names a path longer than ${maxLineChars} bytes`);
    for (const line of lines) {
      if (line.startsWith('160000 ')) submodules.push(Buffer.from(line.slice(line.indexOf('\t') + 1), 'latin1').toString());
    }
  }
  return submodules;
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
