import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { importBundle } from '../../src/git/bundles.ts';
import { createRepositories } from '../../src/git/repositories.ts';
import { silentLog, temporaryDirectory } from '../store/open-test-store.ts';

/** A bundle of one commit that these refs lead to. */
function bundleOf(...refs: readonly string[]): { path: string; commit: string } {
  const folder = temporaryDirectory();
  const git = (...words: string[]): string => execFileSync('git', ['-C', folder, '-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...words], { encoding: 'utf8', input: '' }).trim();
  git('init', '-q', '--bare');
  const commit = git('commit-tree', '-m', 'first', git('mktree'));
  for (const ref of refs) git('update-ref', ref, commit);
  const path = join(folder, 'bundle');
  git('bundle', 'create', '--quiet', path, '--all');
  return { path, commit };
}

const openRepositories = () => createRepositories({ directory: temporaryDirectory(), hooksPath: '/none', nodePath: process.execPath, log: silentLog });
const request = { shallow: [], deployBranch: 'main', isUnpushed: true, signal: new AbortController().signal };

it('the deploy branch of code without its image is set aside, so that the same commit can be pushed again', async () => {
  const repositories = openRepositories();
  const { path, commit } = bundleOf('refs/heads/main');
  await importBundle('hello', { ...request, path }, repositories);
  expect(await repositories.resolveRef('hello', 'refs/heads/main')).toBeUndefined();
  expect(await repositories.resolveRef('hello', 'refs/forge/imported/main')).toBe(commit);
});

it('code whose deploy branch cannot be set aside is refused, instead of answering the next push with "up to date"', async () => {
  const repositories = openRepositories();
  const { path } = bundleOf('refs/heads/main');
  mkdirSync(join(await repositories.ensure('hello'), 'refs/forge/imported/main.lock'), { recursive: true });
  await expect(importBundle('hello', { ...request, path }, repositories)).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('could not be set aside') });
});
