/** What a push may name: refs, branches, tags, histories, app names. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type Command, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
/** A folder whose app `refs` serves "one". */
let folder: string;

beforeAll(async () => {
  forge = await bootForge();
  folder = await appFolder(dockerfileApp('one'));
  expect(await forge.push(folder, 'refs')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => await forge.remove());

const push = async (...words: readonly string[]): Promise<Command> => await forge.git$(folder, ['push', ...words.filter((word) => word.startsWith('--')), forge.remote('refs'), ...words.filter((word) => !word.startsWith('--'))]);
const served = async (app = 'refs'): Promise<string> => (await forge.get(app)).body;
const refsOf = async (app: string): Promise<string> => (await forge.git$(folder, ['ls-remote', forge.remote(app)])).stdout;

describe('a push of something else than the deploy branch', () => {
  it('stores a tag and says that it deploys nothing', async () => {
    await forge.git$(folder, ['tag', '-a', 'v1', '-m', 'one']);
    const pushed = await push('v1');
    expect(pushed.all).toContain('Storing the tag v1, not deploying it: only main deploys.');
    expect(pushed).toMatchObject({ exitCode: 0 });
    expect(await refsOf('refs')).toContain('refs/tags/v1');
    expect(await served()).toBe('one');
  });

  it('stores another branch, says how to deploy it, and serves what it served', async () => {
    const before = (await forge.deployments('refs')).length;
    const pushed = await push('main:other');
    expect(pushed.all).toContain('Storing the branch other, not deploying it: only main deploys.');
    expect(pushed.all).toContain('To deploy it: git push <remote> other:refs/heads/main');
    expect(pushed).toMatchObject({ exitCode: 0 });
    expect((await forge.deployments('refs')).length).toBe(before);
    expect(await served()).toBe('one');
  });

  it('deletes another branch, and refuses to delete the deploy branch', async () => {
    expect((await push('--delete', 'other')).exitCode).toBe(0);
    expect(await refsOf('refs')).not.toContain('refs/heads/other');
    const refused = await push('--delete', 'main');
    expect(refused.all).toContain('main is the branch that refs deploys: it cannot be deleted');
    expect(refused.exitCode).not.toBe(0);
    expect(await refsOf('refs')).toContain('refs/heads/main');
    expect(await served()).toBe('one');
  });

  it('refuses main/x beside main before anything is built', async () => {
    const refused = await push('main:refs/heads/main/x');
    expect(refused.all).toContain('refs/heads/main/x cannot exist beside refs/heads/main');
    expect(refused.exitCode).not.toBe(0);
  });

  it('refuses an annotated tag as a branch and says how to push its commit', async () => {
    await forge.git$(folder, ['tag', '-f', '-a', 'v2', '-m', 'two']);
    const tag = (await forge.git$(folder, ['rev-parse', 'v2'])).stdout.trim();
    const refused = await push('--force', `${tag}:refs/heads/main`);
    expect(refused.exitCode).not.toBe(0);
    expect(refused.all).toMatch(/a branch holds a commit|trying to write non-commit object/);
    expect((await push('v2^{commit}:refs/heads/main')).all).toContain('Everything up-to-date');
  });

  it('does nothing for the same commit again', async () => {
    const before = (await forge.deployments('refs')).length;
    const again = await push('main');
    expect(again.all).toContain('Everything up-to-date');
    expect(again).toMatchObject({ exitCode: 0 });
    expect((await forge.deployments('refs')).length).toBe(before);
  });

  it('deploys another branch once the app is set to it, and no longer the old one', async () => {
    const moved = await appFolder(dockerfileApp('main'));
    expect((await forge.push(moved, 'moved')).exitCode).toBe(0);
    expect((await forge.ssh$(['branch:set', 'moved', 'release'])).exitCode).toBe(0);
    await writeFiles(moved, dockerfileApp('release'));
    expect((await forge.push(moved, 'moved', 'main')).all).toContain('Storing the branch main, not deploying it: only release deploys.');
    expect(await served('moved')).toBe('main');
    expect((await forge.git$(moved, ['push', forge.remote('moved'), 'main:release'])).exitCode).toBe(0);
    expect(await served('moved')).toBe('release');
  });

  it('deploys main of two branches that a first push names, and asks which when there is no main', async () => {
    expect((await forge.git$(folder, ['push', forge.remote('two'), 'main:main', 'main:side'])).exitCode).toBe(0);
    expect(await served('two')).toBe('one');
    const refused = await forge.git$(folder, ['push', forge.remote('which'), 'main:a', 'main:b']);
    expect(refused.all).toContain('the first push of which says which branch deploys, and this one has 2: a, b');
    expect(refused.exitCode).not.toBe(0);
  });
});

describe('a push of an unusual history', () => {
  it('says that an empty source has nothing to build', async () => {
    const empty = await appFolder({});
    const pushed = await forge.push(empty, 'empty');
    expect(pushed.all).toContain('the source has no files at all');
    expect(pushed.exitCode).not.toBe(0);
    expect(await refsOf('empty')).toBe('');
  });

  it('leaves no trace of a push from a repository without commits', async () => {
    const empty = await appFolder({});
    await forge.git$(empty, ['init', '-q']);
    expect((await forge.git$(empty, ['push', forge.remote('nothing'), 'main'])).exitCode).not.toBe(0);
    expect((await forge.ssh$(['apps:info', 'nothing'])).exitCode).toBe(4);
  });

  it('deploys from a depth-1 clone with a detached HEAD, as CI pushes it, and its exit status is the deployment’s', async () => {
    await writeFiles(folder, dockerfileApp('two'));
    expect((await forge.push(folder, 'refs')).exitCode).toBe(0);
    const clones = await mkdtemp(join(tmpdir(), 'forge-app-'));
    expect((await forge.git$(clones, ['clone', '-q', '--depth', '1', `file://${folder}`, 'ci'])).exitCode).toBe(0);
    const ci = join(clones, 'ci');
    await forge.git$(ci, ['checkout', '-q', '--detach']);
    await writeFiles(ci, { 'server.js': 'process.exit(3);\n' });
    await forge.git$(ci, ['commit', '-q', '-a', '-m', 'Broken']);
    expect((await forge.git$(ci, ['push', forge.remote('refs'), 'HEAD:main'])).exitCode).not.toBe(0);
    expect(await served()).toBe('two');
    await writeFiles(ci, dockerfileApp('three'));
    await forge.git$(ci, ['commit', '-q', '-a', '-m', 'Works']);
    expect(await forge.git$(ci, ['push', forge.remote('refs'), 'HEAD:main'])).toMatchObject({ exitCode: 0 });
    expect(await served()).toBe('three');
  });

  it('takes the first push of a new app from a depth-1 clone', async () => {
    const clones = await mkdtemp(join(tmpdir(), 'forge-app-'));
    await forge.git$(clones, ['clone', '-q', '--depth', '1', `file://${folder}`, 'ci']);
    expect(await forge.git$(join(clones, 'ci'), ['push', forge.remote('shallow'), 'HEAD:refs/heads/main'])).toMatchObject({ exitCode: 0 });
    expect(await served('shallow')).toBe('two');
  });

  it('takes a force push that rewrites history, and not one without force', async () => {
    await writeFiles(folder, dockerfileApp('rewritten'));
    await forge.git$(folder, ['commit', '-q', '-a', '--amend', '-m', 'Other']);
    const refused = await push('main');
    expect(refused.all).toMatch(/non-fast-forward|fetch first/);
    expect(await served()).toBe('three');
    expect(await push('--force', 'main')).toMatchObject({ exitCode: 0 });
    expect(await served()).toBe('rewritten');
  });
});

describe('pushes of one app at the same time', () => {
  /** Slow enough that the others arrive meanwhile. */
  const slowApp = (text: string) => ({ ...dockerfileApp(text), Dockerfile: `FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN sleep 2 # ${text}\nCMD ["node", "server.js"]\n` });

  it('end with one commit live, which the ref names; the others say why they were refused', async () => {
    const copies = await Promise.all(['a', 'b', 'c', 'd'].map(async (text) => {
      const copy = await appFolder(slowApp(text));
      return { text, copy, commit: await forge.commit(copy) };
    }));
    const pushed = await Promise.all(copies.map(async ({ copy }) => await forge.git$(copy, ['push', forge.remote('race'), 'main'])));
    const winners = copies.filter((_, index) => pushed[index]?.exitCode === 0);
    expect(winners.length).toBe(1);
    expect(await served('race')).toBe(winners[0]?.text);
    expect(await refsOf('race')).toContain(`${winners[0]?.commit}\trefs/heads/main`);
    for (const { exitCode, all } of pushed) if (exitCode !== 0) expect(all).toMatch(/superseded: a newer push|another push became live while you waited|another push changed|rejected|fetch first|failed to push/);
    const deployments = await forge.deployments('race');
    expect(deployments.filter(({ status }) => status === 'succeeded').length).toBe(1);
    expect(deployments.some(({ status }) => status === 'superseded')).toBe(true);
    expect(deployments.every(({ status }) => ['succeeded', 'superseded', 'failed'].includes(status))).toBe(true);
    await until('one instance is left', async () => (await forge.instances('race')).length === 1);
  });

  it('let the push that waited go on when the one before it fails', async () => {
    const broken = await appFolder({ Dockerfile: 'FROM forge-test/node:24\nRUN sleep 1 && exit 9\n' });
    const good = await appFolder(dockerfileApp('good'));
    await Promise.all([forge.commit(broken), forge.commit(good)]);
    const first = forge.git$(broken, ['push', forge.remote('line'), 'main']);
    const ended = first.then((command) => command);
    await until('the first push builds', async () => (await forge.deployments('line').catch(() => []))[0]?.status === 'building');
    const second = await forge.git$(good, ['push', forge.remote('line'), 'main']);
    expect((await ended).exitCode).not.toBe(0);
    expect(second.all).toMatch(/Waiting for deployment \S+ \(Deploy \S+\) of this app to end/);
    expect(second).toMatchObject({ exitCode: 0 });
    expect(await served('line')).toBe('good');
  });
});

describe('an app name that is none', () => {
  const names = ['a/b', '..', '../x', 'a;b', '$(id)', '`id`', 'a\nb', 'Hello', 'a'.repeat(31), '-x', 'x-', 'xn--a', 'forge', 'www', 'a b', ''];

  it('is refused by a push over SSH, and nothing is made', async () => {
    for (const name of names.filter((each) => each !== '')) {
      const refused = await forge.ssh$([`git-receive-pack '${name.replaceAll("'", "'\\''")}'`]);
      expect({ name, exitCode: refused.exitCode, told: /is not a valid app name|has folders|reserved/.test(refused.stderr) }).toEqual({ name, exitCode: 2, told: true });
    }
    const pushed = await forge.git$(folder, ['push', forge.remote('Hello'), 'main']);
    expect(pushed.all).toContain('"Hello" is not a valid app name');
    expect(pushed.exitCode).not.toBe(0);
  });

  it('is refused by every operation that takes one, over SSH and by the command on the machine', async () => {
    for (const name of names) {
      const quoted = `'${name.replaceAll("'", "'\\''")}'`;
      const isFlag = name.startsWith('-');
      for (const command of ['apps:create', 'apps:info', 'config:list']) {
        const refused = await forge.ssh$([command, '--', quoted]);
        expect({ name, command, exitCode: refused.exitCode }).toEqual({ name, command, exitCode: 2 });
        if (!isFlag) expect(refused.stderr).toMatch(/not a valid app name|is missing/);
      }
      expect({ name, exitCode: (await forge.forge$(['apps:create', '--', name])).exitCode }).toEqual({ name, exitCode: 2 });
    }
    expect((await forge.ssh$(['apps:list', '-q'])).stdout.split('\n').every((name) => /^[a-z]+$/.test(name))).toBe(true);
  });
});
