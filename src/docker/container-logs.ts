/** The log of one container as frames, stored or live. */
import type { Readable } from 'node:stream';
import { abortError } from '../errors.ts';
import { engineCall, translate, type Docker } from './connect.ts';
import { createFrameParser, type LogFrame } from './log-frames.ts';

const pieceBytes = 1024 * 1024;

export interface ContainerLogsOptions {
  readonly follow: boolean;
  /** RFC 3339 time with nanoseconds, inclusive; `undefined` = from the beginning. */
  readonly since: string | undefined;
  readonly signal: AbortSignal;
}

/** Yields what each chunk of the engine's answer completes; ends when the engine ends it. `not-found` for a removed container. */
export async function* containerLogs(docker: Docker, containerId: string, options: ContainerLogsOptions): AsyncGenerator<LogFrame[]> {
  const { signal } = options;
  const query = { stdout: true, stderr: true, timestamps: true, ...(options.since === undefined ? {} : { since: unixNanoseconds(options.since) }), abortSignal: signal };
  const container = docker.getContainer(containerId);
  const what = 'read the log of a container';
  const stream = options.follow
    ? await engineCall(what, container.logs({ ...query, follow: true } as never) as unknown as Promise<Readable>, signal)
    : await engineCall(what, container.logs({ ...query, follow: false } as never) as unknown as Promise<Buffer>, signal);
  const parser = createFrameParser();
  if (Buffer.isBuffer(stream)) {
    // Piece by piece: as frames, the whole would be many times its size.
    for (let offset = 0; offset < stream.length; offset += pieceBytes) yield parser.push(stream.subarray(offset, offset + pieceBytes));
    return;
  }
  try {
    for await (const chunk of stream as Readable) {
      const frames = parser.push(chunk as Buffer);
      if (frames.length > 0) yield frames;
    }
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw translate(what, error);
  } finally {
    (stream as Readable).destroy();
  }
}

/** `2026-11-21T07:30:00.123456789Z` → `1795246200.123456789`, the engine's own notation. */
export function unixNanoseconds(at: string): string {
  const fraction = /\.(\d+)Z$/.exec(at)?.[1] ?? '0';
  const seconds = Math.floor(Date.parse(at.replace(/\.\d+Z$/, 'Z')) / 1000);
  return `${seconds}.${fraction.padEnd(9, '0').slice(0, 9)}`;
}
