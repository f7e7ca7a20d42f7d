import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGitWorld, type GitWorld } from './git-world.ts';

let world: GitWorld;
beforeEach(async () => {
  world = await createGitWorld();
});
afterEach(async () => {
  await world.close();
});

describe('the repositories', () => {
  it('are made once, bare, without hooks, with attributes that keep every byte', async () => {
    const { repositories } = world;
    const [path, again] = await Promise.all([repositories.ensure('hello'), repositories.ensure('hello')]);
    expect(path).toBe(again);
    expect((await readdir(path)).sort()).toEqual(['HEAD', 'config', 'info', 'objects', 'refs']);
    expect(await readFile(join(path, 'info/attributes'), 'utf8')).toBe('* -export-ignore -export-subst -ident -text -eol -filter -working-tree-encoding\n');
    expect([await repositories.exists('hello'), await repositories.exists('other')]).toEqual([true, false]);
    expect(await repositories.headBranch('hello')).toBe('main');
    expect(await repositories.resolveRef('hello', 'refs/heads/main')).toBeUndefined();
    expect(await repositories.resolveRef('other', 'refs/heads/main')).toBeUndefined();
  });

  it('do not take a git that cannot read for a branch that is not there', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', world.sshUrl('hello'), 'main');
    expect(await world.repositories.resolveRef('hello', 'refs/heads/main')).toMatch(/^[0-9a-f]{40}$/);
    expect(await world.repositories.resolveRef('hello', 'refs/heads/mai')).toBeUndefined();
    expect(await world.repositories.findBranches('hello')).toEqual(['main']);
    await writeFile(join(world.repositories.pathOf('hello'), 'config'), '[core');
    await expect(world.repositories.resolveRef('hello', 'refs/heads/main')).rejects.toMatchObject({ code: 'failed', message: expect.stringMatching(/^git could not read \S+\/hello\.git: fatal: bad config/) });
  });

  it.each(['../x', 'a/b', '-x', '', '.empty', 'A', 'x\n'])('have no place for an app called %j', (name) => {
    expect(() => world.repositories.pathOf(name)).toThrow('is not a valid app name');
  });

  it('lose nothing but what killed git processes left behind when they are cleaned', async () => {
    const path = await world.repositories.ensure('hello');
    await mkdir(join(path, 'objects', 'tmp_objdir-incoming-abc', 'pack'), { recursive: true });
    await mkdir(join(path, 'refs', 'heads', 'feature'), { recursive: true });
    const old = new Date(Date.now() - 60_000);
    for (const lock of ['HEAD.lock', 'refs/heads/main.lock', 'refs/heads/feature/x.lock']) {
      await writeFile(join(path, lock), '');
      await utimes(join(path, lock), old, old);
    }
    await mkdir(join(world.folder, 'repos', '.removed-x-1-2'));
    await world.repositories.cleanQuarantines();
    expect((await readdir(path, { recursive: true })).filter((name) => /lock|tmp_/.test(name))).toEqual([]);
    expect(await readdir(join(world.folder, 'repos'))).toEqual(['hello.git']);
    expect(await world.repositories.headBranch('hello')).toBe('main');
  });

  it('are gone with everything once removed, and can begin anew', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', world.sshUrl('hello'), 'main');
    await world.repositories.remove('hello');
    await world.repositories.remove('hello');
    expect(await readdir(join(world.folder, 'repos'))).toEqual([]);
    expect((await world.git(folder, 'push', world.sshUrl('hello'), 'main')).status).toBe(0);
  });

  it('stay whole when many packs are joined', async () => {
    const path = await world.repositories.ensure('hello');
    const folder = await world.workspace('w');
    for (let count = 0; count < 6; count += 1) {
      await world.git(folder, 'commit', '--allow-empty', '-qm', `commit ${count}`);
      await world.git(folder, 'push', '-q', `--receive-pack=git -c receive.unpackLimit=1 receive-pack`, path, 'main');
    }
    const packs = async () => (await readdir(join(path, 'objects/pack'))).filter((name) => name.endsWith('.pack')).length;
    expect(await packs()).toBe(6);
    await world.repositories.compact('hello');
    expect(await packs()).toBe(6);
    await world.repositories.compact('hello', 6);
    expect(await packs()).toBeLessThan(3);
    expect((await world.git(path, 'fsck', '--strict')).status).toBe(0);
  });

  it('change the branch that deploys, to a good name only', async () => {
    await world.repositories.ensure('hello');
    await world.repositories.setHeadBranch('hello', 'release/1');
    expect(await world.repositories.headBranch('hello')).toBe('release/1');
    await expect(world.repositories.setHeadBranch('hello', '../../config')).rejects.toMatchObject({ code: 'invalid' });
  });
});
