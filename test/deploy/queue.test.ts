import { describe, expect, it } from 'vitest';
import { createQueue } from '../../src/deploy/queue.ts';
import { ForgeError } from '../../src/errors.ts';

const never = new AbortController().signal;
const push = (holder: string, signal = never) => ({ holder, isReplaceable: true, signal });

describe('the queue of an app', () => {
  it('gives the turn to one at a time, and apps do not wait for each other', async () => {
    const queue = createQueue();
    const first = await queue.take('a', push('1'));
    let isSecondIn = false;
    const second = queue.take('a', push('2')).then((turn) => ((isSecondIn = true), turn));
    await queue.take('b', push('3'));
    expect(isSecondIn).toBe(false);
    first[Symbol.dispose]();
    await second;
    expect(isSecondIn).toBe(true);
  });

  it('lets the newest waiting push take the place of an older one, but never of a config change', async () => {
    const queue = createQueue();
    const first = await queue.take('a', push('1'));
    const config = queue.take('a', { holder: 'config', isReplaceable: false, signal: never });
    const older = queue.take('a', push('2'));
    const newer = queue.take('a', push('3'));
    await expect(older).rejects.toMatchObject({ code: 'superseded' });
    first[Symbol.dispose]();
    (await config)[Symbol.dispose]();
    (await newer)[Symbol.dispose]();
    expect(queue.takeIfFree('a', 'x')).toBeDefined();
  });

  it('frees the place of one that leaves while it waits', async () => {
    const queue = createQueue();
    const first = await queue.take('a', push('1'));
    const leaver = new AbortController();
    const waiting = queue.take('a', push('2', leaver.signal));
    leaver.abort(new ForgeError('canceled', 'the client left'));
    await expect(waiting).rejects.toMatchObject({ code: 'canceled' });
    first[Symbol.dispose]();
    expect(queue.takeIfFree('a', 'x')).toBeDefined();
  });

  it('gives a turn back once, however often it is disposed', async () => {
    const queue = createQueue();
    const first = await queue.take('a', push('1'));
    const second = queue.take('a', push('2'));
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    await second;
    expect(queue.takeIfFree('a', 'x')).toBeUndefined();
  });

  it('tells the one that waits who has the turn', async () => {
    const queue = createQueue();
    const first = await queue.take('a', push('first'));
    const seen: string[] = [];
    const second = queue.take('a', { ...push('2'), onWait: (holder) => seen.push(holder) });
    first[Symbol.dispose]();
    await second;
    expect(seen).toEqual(['first']);
  });
});

it('tells the holder of a turn that somebody waits, also one who got it while others waited', async () => {
  const queue = createQueue();
  const first = queue.takeIfFree('a', 'the reconciler');
  expect(first?.wanted.aborted).toBe(false);
  const [second, third] = [queue.take('a', push('1')), queue.take('a', { ...push('2'), isReplaceable: false })];
  expect(first?.wanted.aborted).toBe(true);
  first?.[Symbol.dispose]();
  const turn = await second;
  expect(turn.wanted.aborted).toBe(true);
  turn[Symbol.dispose]();
  expect((await third).wanted.aborted).toBe(false);
});
