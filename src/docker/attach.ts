/** The streams of a running container: one hijacked connection, raw with a terminal, framed without. */
import { once } from 'node:events';
import type { Duplex, Readable, Writable } from 'node:stream';
import { abortError } from '../errors.ts';
import { boundedCall, boundedConnection } from './bounded-call.ts';
import { translate, type Docker } from './connect.ts';
import { frameParts } from './stream-frames.ts';

export interface Streams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

export interface Attachment {
  /**
   * Carries the streams until the container has ended and everything it wrote is handed on, no faster than the readers
   * take it. Without a terminal the end of `stdin` reaches the container; `stdin` itself is left as it is.
   */
  carry(streams: Streams): Promise<void>;
  close(): void;
}

/** Connects to a created container, so that nothing is missed once it starts. */
export async function attachContainer(docker: Docker, id: string, { hasTerminal, signal }: { readonly hasTerminal: boolean; readonly signal: AbortSignal }): Promise<Attachment> {
  const options = { stream: true, stdin: true, stdout: true, stderr: true, hijack: true };
  const socket = await boundedConnection('attach to the container', docker.getContainer(id).attach(options), { signal });
  return attachmentOf(socket, { hasTerminal, signal });
}

/** What the engine has handed over as one connection: a container's streams, or those of a command in it. */
export function attachmentOf(socket: Duplex, { hasTerminal, signal }: { readonly hasTerminal: boolean; readonly signal: AbortSignal }): Attachment {
  const close = () => void socket.destroy();
  // Errors reach whoever carries; without a listener they would end forge.
  socket.on('error', () => undefined);
  // Whoever left while the engine was still handing it over is not told again.
  if (signal.aborted) close();
  signal.addEventListener('abort', close, { once: true });

  const carry = async ({ stdin, stdout, stderr }: Streams): Promise<void> => {
    // The engine takes the end of a terminal's input for the end of the whole connection, output included.
    stdin.pipe(socket, { end: !hasTerminal });
    try {
      if (hasTerminal) for await (const chunk of socket) await hand(stdout, chunk as Buffer, signal);
      else for await (const { stream, payload } of frameParts(socket)) await hand(stream === 'stdout' ? stdout : stderr, payload, signal);
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      throw translate('carry the streams of the container', error);
    } finally {
      stdin.unpipe(socket);
      signal.removeEventListener('abort', close);
      close();
    }
    if (signal.aborted) throw abortError(signal);
  };
  return { carry, close };
}

/** Tells the container's terminal its size. */
export async function resizeTerminal(docker: Docker, id: string, { columns, rows }: { readonly columns: number; readonly rows: number }): Promise<void> {
  await boundedCall('resize the terminal', () => docker.getContainer(id).resize({ w: columns, h: rows }) as Promise<unknown>);
}

/** A reader that is gone takes nothing more; the container is not held up by it. One that has only stopped is not waited for past an abort. */
async function hand(output: Writable, chunk: Buffer, signal: AbortSignal): Promise<void> {
  if (!output.writable || output.write(chunk)) return;
  const waiting = new AbortController();
  const over = AbortSignal.any([signal, waiting.signal]);
  const settled = ['drain', 'close', 'error'].map((event) => once(output, event, { signal: over }));
  await Promise.race(settled).catch(() => undefined);
  waiting.abort();
  await Promise.allSettled(settled);
}
