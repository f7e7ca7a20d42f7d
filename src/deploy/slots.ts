/** A bounded number of things at one time, first come first served: the machine's builds. */
import { abortError } from '../errors.ts';

export interface Slots {
  /** Resolves with a slot; `onWait` gets the place in line (1 is next), once, when none is free. */
  take(signal: AbortSignal, onWait: (place: number) => void): Promise<Disposable>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting: ((slot: Disposable) => void)[] = [];

  const slot = (): Disposable => {
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const next = waiting.shift();
        if (next) next(slot());
        else free += 1;
      },
    };
  };

  const take = async (signal: AbortSignal, onWait: (place: number) => void): Promise<Disposable> => {
    if (signal.aborted) throw abortError(signal);
    if (free > 0) {
      free -= 1;
      return slot();
    }
    const { promise, resolve, reject } = Promise.withResolvers<Disposable>();
    waiting.push(resolve);
    onWait(waiting.length);
    const leave = () => {
      const place = waiting.indexOf(resolve);
      if (place === -1) return;
      waiting.splice(place, 1);
      reject(abortError(signal));
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  };

  return { take };
}
