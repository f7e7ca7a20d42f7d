/** Whether a stream is compressed, by its first bytes. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { abortError } from './errors.ts';

/** Leaves the bytes in the stream. False for one that ends, or broke off, before it has two. */
export async function isGzip(stream: Readable, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) throw abortError(signal);
  while (!stream.readableEnded && !stream.destroyed) {
    const head = stream.read(2) as Buffer | null;
    if (head) {
      stream.unshift(head);
      return head[0] === 0x1f && head[1] === 0x8b;
    }
    if (await isOver(stream, signal)) return false;
  }
  return false;
}

/** Waits for more. An empty stream may only say that it has ended. */
async function isOver(stream: Readable, signal: AbortSignal): Promise<boolean> {
  const waiting = new AbortController();
  const over = AbortSignal.any([signal, waiting.signal]);
  const events = ['readable', 'end', 'close'].map((event) => once(stream, event, { signal: over }));
  try {
    await Promise.race(events);
    return stream.readableLength === 0;
  } finally {
    waiting.abort();
    await Promise.allSettled(events);
  }
}
