import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { exportApp } from '../../src/apps/export/export-app.ts';
import { openExport } from '../../src/apps/export/export-file.ts';
import type { AppParts } from '../../src/apps/parts.ts';
import { loadConfig } from '../../src/config.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { createRepositories } from '../../src/git/repositories.ts';
import { operator } from '../../src/operations/actors.ts';
import { createApp } from '../../src/store/apps.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const passphrase = 'correct horse';
const signal = new AbortController().signal;

/** An app with one commit that serves, and `push` for the next. */
async function openStage() {
  const data = temporaryDirectory();
  mkdirSync(join(data, 'tmp'));
  const store = openTestStore(data);
  const repositories = createRepositories({ directory: join(data, 'repos'), hooksPath: '/none', nodePath: process.execPath, log: silentLog });
  const path = await repositories.ensure('hello');
  const git = (...words: string[]): string =>
    execFileSync('git', ['-C', path, '-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...words], { encoding: 'utf8', input: '' }).trim();
  let pushes = 0;
  const push = (): string => {
    const commit = git('commit-tree', '-m', `push ${(pushes += 1)}`, git('mktree'));
    git('update-ref', 'refs/heads/main', commit);
    return commit;
  };
  const release = (commit: string): void => {
    const { version } = createRelease(store, { ...sampleRelease('hello'), commit });
    setCurrentRelease(store, 'hello', version);
  };
  createApp(store, { name: 'hello' });
  release(push());
  const parts = { store, repositories, queue: createQueue(), settle: async () => undefined, config: loadConfig({ data, flags: {}, env: {} }), runtime: {}, log: silentLog } as unknown as AppParts;
  const exported = async (onStep: (text: string) => void = () => undefined): Promise<{ commit: string | undefined; branch: string }> => {
    let file = Buffer.alloc(0);
    const report = { step: onStep, problem: () => undefined, body: () => undefined, done: () => undefined };
    await exportApp({ app: 'hello', passphrase, hasImage: false, actor: operator, report: report as never, signal, use: async (stream) => void (file = await buffer(stream)) }, parts);
    const { app, sections } = await openExport(Readable.from([file]), { passphrase, signal });
    const bundle = join(data, 'read.bundle');
    for await (const { content } of sections()) writeFileSync(bundle, await buffer(content));
    return { commit: app.release?.commit, branch: git('bundle', 'list-heads', bundle, 'refs/heads/main').slice(0, 40) };
  };
  return { data, parts, push, release, exported };
}

it('an export has the code of its release, whatever is pushed while it is written', async () => {
  const { data, parts, push, exported } = await openStage();
  const steps: string[] = [];
  const { commit, branch } = await exported((text) => {
    steps.push(text);
    push();
    // Nobody waits for who reads the file.
    const turn = parts.queue.takeIfFree('hello', 'a deploy');
    expect(turn).toBeDefined();
    turn?.[Symbol.dispose]();
  });
  expect(steps).toEqual(['Writing the code']);
  expect(branch).toBe(commit);
  expect(readdirSync(join(data, 'tmp'))).toEqual([]);
});

it('an export waits for a change that is under way', async () => {
  const { parts, push, release, exported } = await openStage();
  const turn = parts.queue.takeIfFree('hello', 'a deploy');
  const waiting = Promise.withResolvers<string>();
  const exporting = exported((text) => waiting.resolve(text));
  expect(await waiting.promise).toBe('Waiting for a deploy of this app to end');
  const commit = push();
  release(commit);
  turn?.[Symbol.dispose]();
  expect(await exporting).toEqual({ commit, branch: commit });
});
