/** Many builds at a time or one garbage collection, never both: collecting during a push deletes what is being pushed. */
import { untilAborted } from '../../wait.ts';

export interface TurnLock {
  /** Runs beside others of its kind; waits while somebody is, or waits to be, alone. */
  shared<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T>;
  /** Waits until everybody has left, runs with nobody else. */
  alone<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T>;
}

export function createTurnLock(): TurnLock {
  const sharing = new Set<Promise<void>>();
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;

  const alone = async <T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> => {
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = promise;
    waiting += 1;
    try {
      await untilAborted(before.then(() => Promise.all(sharing)), signal);
      return await task();
    } finally {
      waiting -= 1;
      // Whoever gave up waiting must not let the next one in early.
      void before.then(resolve);
    }
  };

  const shared = async <T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> => {
    while (waiting > 0) await untilAborted(last, signal);
    const { promise, resolve } = Promise.withResolvers<void>();
    sharing.add(promise);
    try {
      return await task();
    } finally {
      sharing.delete(promise);
      resolve();
    }
  };

  return { alone, shared };
}
