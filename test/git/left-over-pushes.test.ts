import { once } from 'node:events';
import { join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { expect, it } from 'vitest';
import { endLeftOverPushes } from '../../src/git/left-over-pushes.ts';
import { silentLog, temporaryDirectory } from '../store/open-test-store.ts';

const log = silentLog;

/** git receiving a push into the folder, until its stdin ends. */
async function receive(directory: string): Promise<{ readonly push: ResultPromise }> {
  const path = join(directory, 'hello.git');
  await execa('git', ['init', '--quiet', '--bare', '--', path]);
  const push = execa('git', ['receive-pack', '--', path], { reject: false });
  await once(push.stdout, 'data');
  return { push: push as unknown as ResultPromise };
}

it('waits for pushes that an earlier forge left, and not for those of another', async () => {
  const [ours, others] = [temporaryDirectory(), temporaryDirectory()];
  const [left, foreign] = await Promise.all([receive(ours), receive(others)]);
  let isOver = false;
  const waiting = endLeftOverPushes(ours, { log }).then(() => (isOver = true));
  await endLeftOverPushes(temporaryDirectory(), { log });
  expect(isOver).toBe(false);
  // The flush packet of a client that pushes nothing after all.
  left.push.stdin?.end('0000');
  await waiting;
  expect((await left.push).exitCode).toBe(0);
  foreign.push.stdin?.end('0000');
  expect((await foreign.push).exitCode).toBe(0);
});

it('ends one that stays', async () => {
  const directory = temporaryDirectory();
  const { push } = await receive(directory);
  await endLeftOverPushes(directory, { log, patienceMs: 100 });
  expect((await push).signal).toBe('SIGKILL');
});

it('neither waits for nor ends another program that gave itself the words of a push', async () => {
  const directory = temporaryDirectory();
  const path = join(directory, 'hello.git');
  const impostor = execa(process.execPath, ['-e', 'process.stdin.resume(); console.log("runs")', 'receive-pack', '--', path], { reject: false });
  await once(impostor.stdout, 'data');
  await endLeftOverPushes(directory, { log, patienceMs: 0 });
  impostor.stdin.end();
  expect((await impostor).exitCode).toBe(0);
});

it('goes on after a second deadline, and tells the log, when one cannot be ended', async () => {
  const directory = temporaryDirectory();
  const { push } = await receive(directory);
  const errors: object[] = [];
  const telling = { ...log, error: (details: object) => void errors.push(details) } as unknown as typeof log;
  await endLeftOverPushes(directory, { log: telling, patienceMs: 0, killedPatienceMs: 50, kill: () => undefined });
  expect(errors).toEqual([{ pids: [push.pid] }]);
  push.stdin?.end('0000');
  await push;
});
