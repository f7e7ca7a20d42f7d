/** Calls of the engine that have a deadline. */
import type { Duplex } from 'node:stream';
import { withTimeout } from '../wait.ts';
import { engineCall } from './connect.ts';

/** What the engine may take for one call, when it is busy; an engine that hangs must not hold an app's turn. */
const callTimeoutMs = 60_000;

export interface Bounds {
  /** Other than a minute only for what moves much on the disk. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** As `engineCall`, with a deadline: throws `timeout`. What the engine still does then carries labels. */
export const boundedCall = async <T>(what: string, call: (signal: AbortSignal) => Promise<T>, { timeoutMs = callTimeoutMs, signal: parent }: Bounds = {}): Promise<T> =>
  await withTimeout(timeoutMs, `could not ${what}: the Docker Engine did not answer within ${timeoutMs / 1000} s`, (signal) => engineCall(what, call(signal), signal), parent);

/** As `boundedCall`, for a connection that the engine hands over: one that comes too late is closed. */
export async function boundedConnection(what: string, call: Promise<unknown>, bounds: Bounds = {}): Promise<Duplex> {
  try {
    return (await boundedCall(what, () => call, bounds)) as Duplex;
  } catch (error) {
    call.then((late) => (late as Duplex).destroy()).catch(() => undefined);
    throw error;
  }
}
