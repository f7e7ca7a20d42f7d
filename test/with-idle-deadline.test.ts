import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withIdleDeadline } from '../src/with-idle-deadline.ts';

const options = { ms: 60_000, message: 'nothing came' };
beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

describe('input with an idle deadline', () => {
  it('has the same bytes, and an end', async () => {
    expect((await buffer(withIdleDeadline(Readable.from([Buffer.from('one '), Buffer.from('two')]), options))).toString()).toBe('one two');
  });

  it('that goes silent fails with timeout, and the input is destroyed', async () => {
    const input = new PassThrough();
    const reading = buffer(withIdleDeadline(input, options));
    reading.catch(() => undefined);
    input.write('begun');
    await vi.advanceTimersByTimeAsync(59_000);
    input.write('and on');
    await vi.advanceTimersByTimeAsync(59_000);
    expect(input.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(2_000);
    await expect(reading).rejects.toMatchObject({ code: 'timeout', message: 'nothing came' });
    expect(input.destroyed).toBe(true);
  });

  it('does not count the time in which its reader is busy', async () => {
    const input = new PassThrough();
    const reader = withIdleDeadline(input, options);
    // More than it holds for a reader who does not read: it asks for nothing then.
    for (let count = 0; count < 8; count++) input.write(Buffer.alloc(64 * 1024));
    const iterator = reader[Symbol.asyncIterator]();
    let bytes = ((await iterator.next()).value as Buffer).length;
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(input.destroyed).toBe(false);
    input.end();
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) bytes += (next.value as Buffer).length;
    expect(bytes).toBe(8 * 64 * 1024);
  });

  it('destroys the input when it is destroyed, with no failure of its own', async () => {
    const input = new PassThrough();
    const reader = withIdleDeadline(input, options);
    const failures: unknown[] = [];
    reader.on('error', (error) => failures.push(error));
    reader.resume();
    await vi.advanceTimersByTimeAsync(1_000);
    reader.destroy(new Error('given up'));
    await vi.waitFor(() => expect(input.destroyed).toBe(true));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(failures).toMatchObject([{ message: 'given up' }]);
  });

  it('fails as the input does', async () => {
    const input = new PassThrough();
    const reading = buffer(withIdleDeadline(input, options));
    input.destroy(new Error('cut'));
    await expect(reading).rejects.toThrow('cut');
  });
});
