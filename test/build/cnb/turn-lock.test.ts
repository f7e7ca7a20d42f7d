import { describe, expect, it } from 'vitest';
import { createTurnLock } from '../../../src/build/cnb/turn-lock.ts';

const signal = AbortSignal.timeout(10_000);

/** A task that ends when told, and notes when it runs. */
function task(log: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    end: resolve,
    run: async () => {
      log.push(`+${name}`);
      await promise;
      log.push(`-${name}`);
    },
  };
}

const settle = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));

describe('the lock between builds and garbage collection', () => {
  it('lets builds run side by side and a collection alone', async () => {
    const lock = createTurnLock();
    const log: string[] = [];
    const [a, b, gc, c] = ['a', 'b', 'gc', 'c'].map((name) => task(log, name)) as [ReturnType<typeof task>, ReturnType<typeof task>, ReturnType<typeof task>, ReturnType<typeof task>];
    const all = [lock.shared(signal, a.run), lock.shared(signal, b.run), lock.alone(signal, gc.run), lock.shared(signal, c.run)];
    await settle();
    expect(log).toEqual(['+a', '+b']);
    a.end();
    b.end();
    await settle();
    expect(log).toEqual(['+a', '+b', '-a', '-b', '+gc']);
    gc.end();
    c.end();
    await Promise.all(all);
    expect(log.slice(-3)).toEqual(['-gc', '+c', '-c']);
  });

  it('goes on when a task fails or somebody gives up waiting', async () => {
    const lock = createTurnLock();
    const log: string[] = [];
    const a = task(log, 'a');
    const first = lock.shared(signal, a.run);
    const impatient = new AbortController();
    const gone = lock.alone(impatient.signal, async () => await Promise.resolve());
    impatient.abort();
    await expect(gone).rejects.toMatchObject({ code: 'canceled' });
    await expect(lock.shared(signal, async () => await Promise.reject(new Error('x')))).rejects.toThrow('x');
    a.end();
    await first;
    await expect(lock.alone(signal, async () => await Promise.resolve('done'))).resolves.toBe('done');
  });
});
