/** A stream as the body of a call to the engine, whose answer may come before all of it was read. */
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { untilAborted } from '../wait.ts';

export interface SendArchive<T> {
  readonly archive: Readable;
  /** Makes the call; the body is to be sent as it comes. */
  readonly call: (body: Readable) => Promise<NodeJS.ReadableStream>;
  /** Reads the answer; throws what the engine says went wrong, which it may say with the archive half read. */
  readonly read: (answer: NodeJS.ReadableStream) => Promise<T>;
  readonly signal: AbortSignal;
}

/** Resolves to what `read` made of the answer, once the archive was sent whole. After a failure the archive is destroyed. */
export async function sendArchive<T>({ archive, call, read, signal }: SendArchive<T>): Promise<T> {
  const body = new PassThrough();
  const sent = pipeline(archive, body, { signal });
  sent.catch(() => undefined);
  try {
    const answered = call(body);
    answered.catch(() => undefined);
    // An engine that has answered reads on no more; an archive that broke off gets no answer.
    const answer = await untilAborted(Promise.race([answered, sent.then(() => answered)]), signal);
    const result = await untilAborted(read(answer), signal);
    // What follows the end that the engine saw is taken too: it may be checked on the way.
    body.unpipe();
    body.resume();
    await sent;
    return result;
  } catch (error) {
    body.destroy(error as Error);
    throw error;
  }
}
