import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSession } from '../../src/control/client.ts';
import { ForgeError } from '../../src/errors.ts';
import { createReport } from '../../src/report.ts';
import { createGitWorld, drain, zeroId, type GitWorld } from '../git/git-world.ts';

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

/** Fails as the deploy story does: the reason is written to the pusher, then thrown. */
function failDeploy(output: Writable, error: ForgeError): never {
  createReport([output]).problem(error.message);
  throw error;
}

describe('a push', () => {
  it('of several branches to a new app takes main, or asks for one', async () => {
    const folder = await world.workspace('w');
    const asked = await world.git(folder, 'push', world.sshUrl('one'), 'main:a', 'main:b');
    expect(asked.output).toContain('the first push of one says which branch deploys');
    expect(asked.status).toBe(1);
    expect((await world.git(folder, 'push', world.sshUrl('two'), 'main:a', 'main:main')).status).toBe(0);
    expect(await world.repositories.headBranch('two')).toBe('main');
    expect(await stored('two', 'refs/heads/a')).toBe(await head(folder));
  });

  it('whose ref git cannot move after the yes is not confirmed', async () => {
    const folder = await world.workspace('w');
    world.deploy = async (request) => {
      await drain(request);
      await writeFile(join(world.repositories.pathOf('hello'), 'refs/heads/main.lock'), '');
    };
    const pushed = await world.git(folder, 'push', world.sshUrl('hello'), 'main');
    expect(pushed.output).toContain('[remote rejected] main -> main (failed to update ref)');
    expect(world.outcomes).toEqual([expect.objectContaining({ code: 'failed', message: expect.stringContaining('git did not move main of hello') as string })]);
  });

  it('that waited while another one went live is rejected, nothing built', async () => {
    const folder = await world.workspace('w');
    const turn = Promise.withResolvers<void>();
    let waiting = 0;
    world.turn = async () => {
      waiting += 1;
      if (waiting === 1) await turn.promise;
    };
    const built: string[] = [];
    world.deploy = async (request) => {
      built.push(request.reason);
      await drain(request);
    };
    const late = world.git(folder, 'push', world.sshUrl('hello'), 'main:live');
    await expect.poll(() => waiting, soon).toBe(1);
    expect((await world.git(folder, 'push', world.sshUrl('hello'), 'main')).status).toBe(0);
    turn.resolve();
    expect((await late).status).toBe(1);
    expect(built).toHaveLength(1);
    expect(world.outcomes).toEqual(['succeeded', expect.objectContaining({ code: 'conflict', message: 'another push became live while you waited: push again (pull first if it is not yours)' })]);
    expect(await world.repositories.headBranch('hello')).toBe('main');
  });

  it('that another one overtook is rejected, and git holds what was confirmed', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', world.sshUrl('hello'), 'main');
    await world.git(folder, 'checkout', '-qb', 'other');
    await world.commit(folder, { 'x.txt': 'x' });
    await world.git(folder, 'checkout', '-q', 'main');
    const commit = await world.commit(folder, { 'y.txt': 'y' });
    // Both have asked git for the refs before either moves one.
    const turns = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const arrived: string[] = [];
    world.deploy = async (request) => {
      await drain(request);
      arrived.push(request.origin.kind);
      await turns[0]?.promise;
    };
    const first = world.git(folder, 'push', world.sshUrl('hello'), 'main');
    await expect.poll(() => arrived.length, soon).toBe(1);
    const built = world.deploy;
    const second = world.git(folder, 'push', world.sshUrl('hello'), 'other:main');
    await expect.poll(() => arrived.length, soon).toBe(2);
    world.deploy = built;
    turns[0]?.resolve();
    const results = await Promise.all([first, second]);
    expect(results.map(({ status }) => status).sort()).toEqual([0, 1]);
    const live = await stored('hello', 'refs/heads/main');
    expect([commit, await head(folder, 'other')]).toContain(live);
    expect(results[live === commit ? 0 : 1]?.status).toBe(0);
    expect(world.outcomes.filter((outcome) => outcome === 'succeeded')).toHaveLength(2);
  });

  it('with a submodule or with a name that is none is refused with the reason', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'update-index', '--add', '--cacheinfo', `160000,${await head(folder)},vendor/lib`);
    await world.git(folder, 'commit', '-qm', 'submodule');
    world.deploy = async (request) => {
      try {
        await drain(request);
      } catch (error) {
        failDeploy(request.output, error as ForgeError);
      }
    };
    const pushed = await world.git(folder, 'push', world.sshUrl('hello'), 'main');
    expect(pushed.output).toContain('submodules are not supported: vendor/lib');
    for (const name of ['Hello', 'a'.repeat(31), '..', 'forge', 'x$(id)', 'x;id']) {
      const refused = await world.git(folder, 'push', world.sshUrl(name), 'main');
      expect(refused.output).toContain('is not a valid app name');
      expect(refused.status).toBe(128);
    }
    expect(await readdir(join(world.folder, 'repos'))).toEqual(['hello.git']);
  });

  it('is recorded with who pushed which refs and how it ended', async () => {
    const folder = await world.workspace('w');
    world.deploy = async ({ output }) => failDeploy(output, new ForgeError('failed', 'the build broke'));
    await world.git(folder, 'push', world.sshUrl('hello'), 'main');
    world.deploy = async (request) => void (await drain(request));
    await world.git(folder, 'push', world.sshUrl('hello'), 'main', 'main:refs/tags/v1');
    expect(world.records).toMatchObject([
      { app: 'hello', actor: { name: 'alice' }, refs: ['refs/heads/main'], count: 1, outcome: 'failed' },
      { app: 'hello', actor: { name: 'alice' }, refs: ['refs/heads/main', 'refs/tags/v1'], count: 2, outcome: 'ok' },
    ]);
  });

  it('is refused when forge does not answer its hook', async () => {
    const folder = await world.workspace('w');
    const path = await world.repositories.ensure('hello');
    const pushed = await world.git(folder, '-c', `core.hooksPath=${world.repositories.hooksPath}`, 'push', path, 'main');
    expect(pushed.status).toBe(0);
    await world.git(path, 'config', 'core.hooksPath', world.repositories.hooksPath);
    await world.commit(folder, { 'b.txt': 'b' });
    const refused = await world.git(folder, 'push', path, 'main');
    expect(refused.output).toMatch(/takes pushes only through forge|forge's hook could not run/);
    expect(refused.status).toBe(1);
  });

  it('cannot be spoken for by a forged or a used secret', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', world.sshUrl('hello'), 'main');
    const updates = [{ oldId: zeroId, newId: await head(folder), ref: 'refs/heads/main' }];
    for (const secret of ['', 'guessed', world.secrets[0] as string]) {
      const stderr = new PassThrough();
      const status = await runSession({ socketPath: world.socketPath, hello: { kind: 'hook', secret, updates }, stdin: undefined, stdout: new PassThrough(), stderr });
      expect(status).toBe(1);
      expect(String(stderr.read())).toContain('forge does not know this push');
    }
  });

  it('cannot change the repository’s configuration or reach hooks of its own', async () => {
    const folder = await world.workspace('w', { 'hooks/pre-receive': '#!/bin/sh\ntouch /tmp/forge-pwned', config: '[core]\n\thooksPath = hooks\n', '.gitattributes': '* filter=evil\n' });
    await writeFile(join(folder, '.git', 'info', 'attributes'), '');
    expect((await world.git(folder, 'push', '-o', 'x=y', world.sshUrl('hello'), 'main')).status).not.toBe(0);
    expect((await world.git(folder, 'push', world.sshUrl('hello'), 'main')).status).toBe(0);
    expect(await readdir(world.repositories.pathOf('hello'))).not.toContain('hooks');
    expect((await readdir('/tmp')).includes('forge-pwned')).toBe(false);
  });
});
