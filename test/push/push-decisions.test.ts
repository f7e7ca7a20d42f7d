import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ForgeError } from '../../src/errors.ts';
import { createReport } from '../../src/report.ts';
import { createGitWorld, drain, type GitWorld } from '../git/git-world.ts';

/** Long enough for a busy machine. */
const soon = { timeout: 15_000 };
let world: GitWorld;
beforeEach(async () => {
  world = await createGitWorld();
});
afterEach(async () => {
  await world.close();
});

const head = async (folder: string, ref = 'HEAD') => (await world.git(folder, 'rev-parse', ref)).output.trim();
const stored = async (app: string, ref: string) => await world.repositories.resolveRef(app, ref);
const quarantines = async (app: string) => (await readdir(join(world.repositories.pathOf(app), 'objects'))).filter((name) => name.startsWith('tmp_objdir'));

/** Fails as the deploy story does: the reason is written to the pusher, then thrown. */
function failDeploy(output: Writable, error: ForgeError): never {
  createReport([output]).problem(error.message);
  throw error;
}

describe.each(['ssh', 'http'] as const)('a push over %s', (transport) => {
  const url = (app: string) => (transport === 'ssh' ? world.sshUrl(app) : world.httpUrl(app));

  it.each(['0', '2'])('deploys the first branch and can be cloned, with protocol version %s', async (version) => {
    const folder = await world.workspace('w', { 'a.txt': 'a\r\n', '.gitattributes': 'a.txt export-ignore\n* text=auto\n' });
    let tar: Buffer = Buffer.alloc(0);
    world.deploy = async (request) => {
      tar = await drain(request);
      expect(request.origin).toEqual({ kind: 'git', branch: 'trunk', commit: await head(folder) });
      expect([request.app, request.actor.name]).toEqual(['hello', 'alice']);
    };
    const pushed = await world.git(folder, '-c', `protocol.version=${version}`, 'push', url('hello'), 'main:trunk');
    expect(pushed.output).toContain('remote: -----> Received');
    expect(pushed.status).toBe(0);
    expect(await stored('hello', 'refs/heads/trunk')).toBe(await head(folder));
    expect(await world.repositories.headBranch('hello')).toBe('trunk');
    // What .gitattributes says about archives is the repository's wish for releases of its own, not for deploys.
    expect(tar.includes('a.txt')).toBe(true);
    const clone = await world.git(world.folder, '-c', `protocol.version=${version}`, 'clone', '-q', url('hello'), 'clone');
    expect(clone).toEqual({ status: 0, output: '' });
    expect(await head(join(world.folder, 'clone'))).toBe(await head(folder));
    expect((await world.git(folder, 'push', url('hello'), 'main:trunk')).output).toContain('Everything up-to-date');
  });

  it('shows progress while it happens', async () => {
    const folder = await world.workspace('w');
    const seen = Promise.withResolvers<void>();
    world.deploy = async (request) => {
      await drain(request);
      request.output.write('-----> one line\n');
      await seen.promise;
    };
    const git = world.startGit(folder, 'push', url('hello'), 'main');
    let output = '';
    git.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('one line')) seen.resolve();
    });
    expect(await new Promise((done) => git.on('close', done))).toBe(0);
  });

  it('is rejected when the deploy fails, and the same push can be repeated', async () => {
    const folder = await world.workspace('w');
    world.deploy = async ({ output }) => failDeploy(output, new ForgeError('failed', 'the build broke'));
    const failed = await world.git(folder, 'push', url('hello'), 'main');
    expect(failed.status).toBe(1);
    expect(failed.output).toContain('remote:  !     the build broke');
    expect(failed.output).toContain('[remote rejected] main -> main (pre-receive hook declined)');
    expect(await stored('hello', 'refs/heads/main')).toBeUndefined();
    expect(await quarantines('hello')).toEqual([]);
    world.deploy = async (request) => void (await drain(request));
    expect((await world.git(folder, 'push', url('hello'), 'main')).status).toBe(0);
  });

  it('stops the build when the client is killed, and the ref does not move', async () => {
    const folder = await world.workspace('w');
    const building = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<string>();
    world.deploy = async (request) => {
      await drain(request);
      building.resolve();
      await new Promise<void>((done) => request.signal.addEventListener('abort', () => done(), { once: true }));
      stopped.resolve((request.signal.reason as ForgeError).code);
      throw request.signal.reason;
    };
    const git = world.startGit(folder, 'push', url('hello'), 'main');
    await building.promise;
    process.kill(-(git.pid as number), 'SIGKILL');
    expect(await stopped.promise).toBe('canceled');
    await expect.poll(() => quarantines('hello'), soon).toEqual([]);
    expect(await stored('hello', 'refs/heads/main')).toBeUndefined();
  });

  it('goes through to its end when the client is killed after the swap', async () => {
    const folder = await world.workspace('w');
    const swapped = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    world.deploy = async (request) => {
      await drain(request);
      request.signal.addEventListener('abort', () => left.resolve(), { once: true });
      swapped.resolve();
      await left.promise;
    };
    const git = world.startGit(folder, 'push', url('hello'), 'main');
    await swapped.promise;
    process.kill(-(git.pid as number), 'SIGKILL');
    await expect.poll(() => stored('hello', 'refs/heads/main'), soon).toBe(await head(folder));
  });

  it('takes shallow pushes, and pushes on top of them', async () => {
    const folder = await world.workspace('w');
    for (const name of ['one', 'two']) {
      // Each leaves commits out that forge never gets.
      await world.commit(folder, { 'b.txt': name });
      await world.commit(folder, { 'c.txt': name });
      await world.git(world.folder, 'clone', '-q', '--depth=1', `file://${folder}`, name);
      // A shallow clone does not know the commit that serves, so git asks for force, as every CI does.
      expect(await world.git(join(world.folder, name), 'push', '--force', url('hello'), 'main')).toMatchObject({ status: 0 });
      expect(await stored('hello', 'refs/heads/main')).toBe(await head(folder));
    }
    await world.commit(folder, { 'd.txt': 'd' });
    expect(await world.git(folder, 'push', url('hello'), 'main')).toMatchObject({ status: 0 });
    expect(await stored('hello', 'refs/heads/main')).toBe(await head(folder));
  });

  it('takes a forced push', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', url('hello'), 'main');
    await world.git(folder, 'commit', '--amend', '-qm', 'another');
    expect((await world.git(folder, 'push', url('hello'), 'main')).status).toBe(1);
    expect((await world.git(folder, 'push', '--force', url('hello'), 'main')).status).toBe(0);
    expect(await stored('hello', 'refs/heads/main')).toBe(await head(folder));
  });

  it('stores tags and other branches, deploys neither, and says how to', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', url('hello'), 'main');
    world.deploy = () => Promise.reject(new Error('nothing was to be deployed'));
    await world.git(folder, 'tag', '-a', '-m', 'one', 'v1');
    const pushed = await world.git(folder, 'push', url('hello'), 'v1', 'main:dev');
    expect(pushed.status).toBe(0);
    expect(pushed.output).toMatch(/Storing the tag v1, not deploying it: only main deploys\.[^]*git push <remote> v1\^\{commit\}:refs\/heads\/main/);
    expect(pushed.output).toContain('Storing the branch dev, not deploying it');
    expect(await stored('hello', 'refs/heads/dev')).toBe(await head(folder));
    expect((await world.git(folder, 'push', url('hello'), ':dev', ':v1')).status).toBe(0);
    expect(await stored('hello', 'refs/heads/dev')).toBeUndefined();
  });

  it('refuses what cannot be: the deploy branch deleted, objects that are no commits, folders over files', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', url('hello'), 'main');
    await world.commit(folder, { 'b.txt': 'b' });
    await world.git(folder, 'tag', '-a', '-m', 'one', 'v1');
    world.deploy = () => Promise.reject(new Error('nothing was to be deployed'));
    const before = await stored('hello', 'refs/heads/main');
    for (const [refspec, message] of [
      [':main', 'it cannot be deleted'],
      ['v1:refs/heads/main', 'is a tag'],
      ['v1:refs/heads/other', 'git push <remote> <tag>^{commit}:refs/heads/other'],
      ['HEAD^{tree}:refs/heads/x', 'is a tree'],
      ['main:refs/heads/main/x', 'cannot exist beside refs/heads/main'],
      ['main:refs/heads/-x', 'is not a name for a branch'],
      ['main:refs/heads/--upload-pack=x', 'is not a name for a branch'],
      ['main:refs/heads/HEAD', 'cannot be called HEAD'],
      ['main:refs/notes/x', 'is neither a branch nor a tag'],
      ['main:refs/heads/$(touch$IFS/tmp/forge-pwned)', ''],
    ] as const) {
      const pushed = await world.git(folder, 'push', url('hello'), refspec);
      if (message === '') continue;
      expect(pushed.output).toContain(message);
      expect(pushed.status, refspec).toBe(1);
    }
    expect(await stored('hello', 'refs/heads/main')).toBe(before);
    expect((await readdir('/tmp')).includes('forge-pwned')).toBe(false);
  });
});
