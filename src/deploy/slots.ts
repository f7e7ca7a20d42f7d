/** A bounded number of things at one time, first come first served: the machine's builds. */
import { abortError } from '../errors.ts';

export interface Slots {
  /** Resolves with a slot; `onWait` gets the place in line (1 is next) when none is free, and again whenever it moves up. */
  take(signal: AbortSignal, onWait: (place: number) => void): Promise<Disposable>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting: { grant(slot: Disposable): void; tell(place: number): void }[] = [];
  const moveUp = (from: number): void => waiting.slice(from).forEach(({ tell }, index) => tell(from + index + 1));

  const slot = (): Disposable => {
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const next = waiting.shift();
        if (!next) free += 1;
        else {
          next.grant(slot());
          moveUp(0);
        }
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
    const entry = { grant: resolve, tell: onWait };
    waiting.push(entry);
    onWait(waiting.length);
    const leave = () => {
      const place = waiting.indexOf(entry);
      if (place === -1) return;
      waiting.splice(place, 1);
      moveUp(place);
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
