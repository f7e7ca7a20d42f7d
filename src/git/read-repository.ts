/** What git tells of a repository. Whoever asks must not take a git that could not read it for a no. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ForgeError } from '../errors.ts';
import type { ProcessResult } from '../run-process.ts';
import { repositoryArgs } from './git-args.ts';

export interface GitPlace {
  /** Of the repository, which need not be there. */
  readonly path: string;
  /** Runs git with these arguments. */
  git(args: readonly string[]): Promise<ProcessResult>;
}

/** Lines of git's answer, none without repository. Throws `failed` when git cannot tell. */
async function read({ path, git }: GitPlace, ...words: readonly string[]): Promise<readonly string[]> {
  if (!existsSync(join(path, 'HEAD'))) return [];
  const { exitCode, stdout, stderr } = await git(repositoryArgs(path, ...words));
  if (exitCode !== 0) throw new ForgeError('failed', `git could not read ${path}: ${stderr.trim()}`, { hint: `on the machine: git -C ${path} fsck` });
  return stdout.split('\n').filter(Boolean);
}

/** Object ids by full name, of the ref and of those below it. */
export const readRefs = async (place: GitPlace, ref: string): Promise<ReadonlyMap<string, string>> =>
  new Map((await read(place, 'for-each-ref', '--format=%(refname) %(objectname)', '--', ref)).map((line) => line.split(' ') as [string, string]));

/** The full ref that HEAD names, whether it exists yet or not; `undefined` without repository. */
export const readHead = async (place: GitPlace): Promise<string | undefined> => (await read(place, 'symbolic-ref', '--', 'HEAD'))[0];
