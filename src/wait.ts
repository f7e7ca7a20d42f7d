/** The one door to timers: every wait has a deadline and a signal. Durations are milliseconds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { abortError, ForgeError } from './errors.ts';

/** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) throw abortError(signal);
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    throw error;
  }
}

/** A signal that aborts with `timeout` after `ms`, or with the parent's reason when that aborts first. */
export function withDeadline(ms: number, message: string, parent?: AbortSignal): AbortSignal & Disposable {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new ForgeError('timeout', message)), ms);
  const follow = () => controller.abort(parent?.reason);
  if (parent?.aborted) follow();
  parent?.addEventListener('abort', follow, { once: true });
  const release = () => {
    clearTimeout(timer);
    parent?.removeEventListener('abort', follow);
  };
  controller.signal.addEventListener('abort', release, { once: true });
  return Object.assign(controller.signal, { [Symbol.dispose]: release });
}

/** Runs `task` at most `ms`; the task is expected to watch the signal, but the wait ends by itself in any case. */
export async function withTimeout<T>(
  ms: number,
  message: string,
  task: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  using signal = withDeadline(ms, message, parent);
  return await untilAborted(task(signal), signal);
}

/** The promise's outcome, or the abort reason when the signal fires first. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => undefined);
    throw abortError(signal);
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Calls `task` every `ms` until disposed; a run still under way is not overlapped. Errors go to `onError`. */
export function every(ms: number, task: () => Promise<void>, onError: (error: unknown) => void): Disposable {
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    task()
      .catch(onError)
      .finally(() => (isRunning = false));
  }, ms);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
