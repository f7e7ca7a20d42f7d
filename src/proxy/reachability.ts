/**
 * Whether a target takes connections. After some that failed in a row it is set aside, and knocked at until it answers:
 * requests need not find out one by one that it is gone, nor that it is back.
 */
import { connect } from 'node:net';
import { delay } from '../wait.ts';

/** Connections that must fail in a row until a target is set aside. */
export const failuresAllowed = 3;
const firstPauseMs = 100;
const longestPauseMs = 2_000;

/** Where a target listens: an address and a port, or a unix socket. */
export type TargetOrigin = { readonly address: string; readonly port: number } | { readonly socketPath: string };

export class Reachability {
  isSetAside = false;
  readonly #origin: TargetOrigin;
  readonly #connectTimeoutMs: number;
  #failures = 0;
  /** Ends the knocking. */
  #knocking: AbortController | undefined;
  #isClosed = false;

  constructor(origin: TargetOrigin, connectTimeoutMs: number) {
    this.#origin = origin;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** A connection was made: the target is as good as any other from now on. */
  onConnect(): void {
    this.#failures = 0;
    this.isSetAside = false;
    this.#knocking?.abort();
    this.#knocking = undefined;
  }

  /** A connection could not be made. */
  onFailure(): void {
    this.#failures += 1;
    if (this.#failures < failuresAllowed || this.isSetAside || this.#isClosed) return;
    this.isSetAside = true;
    this.#knocking = new AbortController();
    void this.#knock(this.#knocking.signal);
  }

  /** The target left the table: nobody asks any more. */
  close(): void {
    this.#isClosed = true;
    this.#knocking?.abort();
  }

  async #knock(signal: AbortSignal): Promise<void> {
    try {
      for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
        await delay(pauseMs, signal);
        if (await answers(this.#origin, this.#connectTimeoutMs, signal)) return this.onConnect();
      }
    } catch (error) {
      // Only the end of the knocking ends it this way.
      if (!signal.aborted) throw error;
    }
  }
}

function answers(origin: TargetOrigin, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const place = 'socketPath' in origin ? { path: origin.socketPath } : { host: origin.address, port: origin.port };
  const socket = connect({ ...place, signal, timeout: timeoutMs });
  const end = (answer: boolean): void => {
    socket.destroy();
    resolve(answer);
  };
  socket.once('connect', () => end(true)).once('timeout', () => end(false)).on('error', () => end(false));
  return promise;
}
