import { expect, test } from 'vitest';
import { untilDone } from '../../src/wire/until-done.ts';

test('what fails is tried at the next call, one at a time, and once it has succeeded never again', async () => {
  const outcomes = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const errors: unknown[] = [];
  let calls = 0;
  const task = untilDone(async () => await outcomes[calls++]?.promise, (error) => void errors.push(error));
  const first = Promise.all([task(), task()]);
  outcomes[0]?.reject(new Error('the engine is away'));
  await first;
  expect([calls, errors.length]).toEqual([1, 1]);
  outcomes[1]?.resolve();
  await Promise.all([task(), task()]);
  await task();
  expect([calls, errors.length]).toEqual([2, 1]);
});
