import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { linkRepository } from '../../src/git/link-repository.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' };
const git = async (folder: string, ...words: string[]) => (await execa('git', words, { cwd: folder, env })).stdout;

it('takes a moment of a repository, whole, while pushes and repacking go on', async () => {
  const place = temporaryDirectory();
  const [bare, work] = [join(place, 'bare.git'), join(place, 'work')];
  await git(place, 'init', '-q', '--bare', '--initial-branch=main', bare);
  await git(place, 'init', '-q', '--initial-branch=main', work);
  let isDone = false;
  const pushing = (async () => {
    for (let at = 0; !isDone; at++) {
      await git(work, 'commit', '-q', '--allow-empty', '-m', `Commit ${at}`);
      await git(work, 'push', '-q', bare, `main:main`, `main:branch-${at % 7}`, '--force');
      if (at % 3 === 0) await git(bare, '-c', 'pack.threads=1', 'repack', '-d', '-q', '--geometric=2');
      if (at % 4 === 0) await git(bare, 'pack-refs', '--all');
    }
  })();
  while ((await git(bare, 'for-each-ref')).split('\n').length < 3);
  for (let at = 0; at < 12; at++) {
    const copy = join(place, `copy-${at}.git`);
    await linkRepository(bare, copy);
    await git(copy, 'fsck', '--full', '--strict');
    expect(await git(copy, 'symbolic-ref', 'HEAD')).toBe('refs/heads/main');
    const before = await git(copy, 'rev-parse', 'main');
    await git(work, 'cat-file', '-e', before);
  }
  isDone = true;
  await pushing;
}, 60_000);
