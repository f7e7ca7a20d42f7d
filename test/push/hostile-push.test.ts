import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGitWorld, type GitWorld } from '../git/git-world.ts';

let world: GitWorld;
beforeAll(async () => void (world = await createGitWorld()));
afterAll(async () => await world.close());

const makeTree = (folder: string, lines: readonly string[]): string => spawnSync('git', ['mktree'], { cwd: folder, input: lines.join('') }).stdout.toString().trim();

describe('a push that is small on the wire and huge when it is read', () => {
  it('is refused when its tree names billions of files', async () => {
    const folder = await world.workspace('tree-bomb');
    const [, , blob] = (await world.git(folder, 'ls-tree', 'HEAD')).output.trim().split(/\s+/);
    const ten = Array.from({ length: 10 }, (_, index) => index);
    let tree = makeTree(folder, ten.map((index) => `100644 blob ${blob}\tf${index}\n`));
    for (let level = 0; level < 9; level += 1) tree = makeTree(folder, ten.map((index) => `040000 tree ${tree}\td${index}\n`));
    const commit = (await world.git(folder, 'commit-tree', '-m', 'bomb', tree)).output.trim();
    const pushed = await world.git(folder, 'push', world.sshUrl('hers'), `${commit}:refs/heads/main`);
    expect(String(world.outcomes.at(-1))).toContain('the pushed commit was refused: its tree names more than 1000000 files');
    expect(pushed.status).not.toBe(0);
  });

  it('is refused when one object would fill the memory', async () => {
    const folder = await world.workspace('large-object');
    const [, tree] = /tree (\w+)/.exec((await world.git(folder, 'cat-file', '-p', 'HEAD')).output) ?? [];
    const content = Buffer.concat([Buffer.from(`tree ${tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\n`), Buffer.alloc(700 * 1024 * 1024, 'a')]);
    const object = Buffer.concat([Buffer.from(`commit ${content.length}\0`), content]);
    const id = createHash('sha1').update(object).digest('hex');
    await mkdir(join(folder, '.git', 'objects', id.slice(0, 2)), { recursive: true });
    await writeFile(join(folder, '.git', 'objects', id.slice(0, 2), id.slice(2)), deflateSync(object, { level: 1 }));
    const pushed = await world.git(folder, 'push', world.sshUrl('hers'), `${id}:refs/heads/main`);
    expect(pushed.output).toMatch(/attempting to allocate \d+ over limit/);
    expect(pushed.status).not.toBe(0);
  }, 120_000);
});
