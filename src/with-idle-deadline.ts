/** Input of a client, who may go silent without going away. */
import { Readable } from 'node:stream';
import { withTimeout } from './wait.ts';

/**
 * The same bytes. Fails with `timeout` when none came for `ms` although they were asked for: time in which the reader is busy
 * does not count. Destroying it destroys the input, unless that has ended.
 */
export function withIdleDeadline(input: Readable, { ms, message }: { readonly ms: number; readonly message: string }): Readable {
  const iterator = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const closed = new AbortController();
  return new Readable({
    read() {
      withTimeout(ms, message, () => iterator.next(), closed.signal).then(
        ({ value, done }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error as Error),
      );
    },
    destroy(error, done) {
      closed.abort(error ?? undefined);
      if (!input.readableEnded) input.destroy();
      done(error);
    },
  });
}
