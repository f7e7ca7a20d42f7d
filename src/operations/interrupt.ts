/** Ctrl-C over `ssh -t` arrives as a byte: nobody else turns it into a signal. */
import type { Session } from '../domain.ts';

const interrupts = new Set([3, 4]);

/** Aborts when the person left or, where there is a terminal to watch, pressed Ctrl-C or Ctrl-D. Dispose it to stop watching. */
export function untilInterrupted(session: Session, isWatched: boolean): AbortSignal & Disposable {
  const controller = new AbortController();
  const leave = () => controller.abort(session.signal.reason);
  const onData = (chunk: Buffer | string) => {
    if ([...Buffer.from(chunk)].some((byte) => interrupts.has(byte))) controller.abort();
  };
  if (session.signal.aborted) leave();
  session.signal.addEventListener('abort', leave, { once: true });
  const isWatching = isWatched && session.terminal !== undefined;
  if (isWatching) session.stdin.on('data', onData);
  return Object.assign(controller.signal, {
    [Symbol.dispose]: () => {
      session.signal.removeEventListener('abort', leave);
      if (isWatching) session.stdin.off('data', onData).pause();
    },
  });
}
