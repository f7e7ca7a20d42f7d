import { mkdirSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { expect, it } from 'vitest';
import { endLeftOverPushes } from '../../src/git/left-over-pushes.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

/** A process that looks like git receiving a push into the folder, until its stdin ends. */
async function receive(directory: string): Promise<{ readonly push: ResultPromise }> {
  const path = join(directory, 'hello.git');
  mkdirSync(path);
  const push = execa(process.execPath, ['-e', 'process.stdin.resume(); console.log("runs")', 'receive-pack', '--', path], { reject: false });
  await once(push.stdout, 'data');
  return { push: push as unknown as ResultPromise };
}

it('waits for pushes that an earlier forge left, and not for those of another', async () => {
  const [ours, others] = [temporaryDirectory(), temporaryDirectory()];
  const [left, foreign] = await Promise.all([receive(ours), receive(others)]);
  let isOver = false;
  const waiting = endLeftOverPushes(ours).then(() => (isOver = true));
  await endLeftOverPushes(temporaryDirectory());
  expect(isOver).toBe(false);
  left.push.stdin?.end();
  await waiting;
  expect((await left.push).exitCode).toBe(0);
  foreign.push.stdin?.end();
  expect((await foreign.push).exitCode).toBe(0);
});

it('ends one that stays', async () => {
  const directory = temporaryDirectory();
  const { push } = await receive(directory);
  await endLeftOverPushes(directory, 100);
  expect((await push).signal).toBe('SIGKILL');
});
