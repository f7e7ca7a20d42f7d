import { expect, test } from 'vitest';
import { createQueue } from '../../src/deploy/queue.ts';
import { createWhenFree } from '../../src/deploy/when-free.ts';
import { ForgeError } from '../../src/errors.ts';
import type { Log } from '../../src/log.ts';
import { untilAborted } from '../../src/wait.ts';

const never = (signal: AbortSignal): Promise<never> => untilAborted(Promise.withResolvers<never>().promise, signal);
const { signal } = new AbortController();

/** Does nothing but count, unless told otherwise. */
function openStage(task: (signal: AbortSignal) => Promise<void> = async () => undefined) {
  const queue = createQueue();
  const stage = { queue, runs: 0, warned: [] as string[] };
  const log = { warn: ({ err }: { readonly err: Error }) => void stage.warned.push(err.message) } as unknown as Log;
  const whenFree = createWhenFree({ queue, log, task: async (_app, given) => (stage.runs++, await task(given)) });
  return Object.assign(stage, whenFree);
}

test('what comes while the turn is taken is done once, as soon as that is free', async () => {
  const stage = openStage();
  const turn = stage.queue.takeIfFree('hello', 'a push');
  await stage.run('hello', signal);
  await stage.run('hello', signal);
  expect(stage.runs).toBe(0);
  turn?.[Symbol.dispose]();
  await stage.settled();
  expect(stage.runs).toBe(1);
});

test('what gave way to somebody who wanted the turn is done again after them', async () => {
  const begun = Promise.withResolvers<void>();
  const stage = openStage(async (given) => {
    begun.resolve();
    if (stage.runs === 1) await never(given);
  });
  const running = stage.run('hello', signal);
  await begun.promise;
  const turn = await stage.queue.take('hello', { holder: 'a push', isReplaceable: false, signal });
  await running;
  expect(stage.runs).toBe(1);
  turn[Symbol.dispose]();
  await stage.settled();
  expect(stage.runs).toBe(2);
});

test('its own failure ends it, and is not tried again at once', async () => {
  const stage = openStage(async () => {
    throw new ForgeError('failed', 'it does not start');
  });
  await stage.run('hello', signal);
  await stage.settled();
  expect(stage.runs).toBe(1);
  expect(stage.warned).toEqual(['it does not start']);
});

test('nothing is put off past the end of its signal', async () => {
  const leaving = new AbortController();
  const stage = openStage();
  using _turn = stage.queue.takeIfFree('hello', 'a push');
  await stage.run('hello', leaving.signal);
  leaving.abort();
  await stage.settled();
  expect(stage.runs).toBe(0);
});
