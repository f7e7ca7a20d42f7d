import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { abortError } from '../errors.ts';

/** Writes with back-pressure; ends with the signal's reason when the reader is gone. */
export async function write(output: Writable, text: string | Uint8Array, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw abortError(signal);
  if (text.length === 0 || !output.writable || output.write(text)) return;
  try {
    await once(output, 'drain', { signal });
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw error;
  }
}
