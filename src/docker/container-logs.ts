/** The log of one container as frames, stored or live. */
import type { Readable } from 'node:stream';
import { abortError } from '../errors.ts';
import { engineCall, translate, type Docker } from './connect.ts';
import { createFrameParser, type LogFrame } from './log-frames.ts';

export interface ContainerLogsOptions {
  readonly follow: boolean;
  /** RFC 3339 time with nanoseconds, inclusive; `undefined` = from the beginning. */
  readonly since: string | undefined;
  readonly signal: AbortSignal;
}

/** Yields what each chunk of the engine's answer completes; ends when the engine ends it. `not-found` for a removed container. */
export async function* containerLogs(docker: Docker, containerId: string, options: ContainerLogsOptions): AsyncGenerator<LogFrame[]> {
  const { signal } = options;
  const what = 'read the log of a container';
  const stream = await engineCall(what, openLog(docker, containerId, options), signal);
  const parser = createFrameParser();
  try {
    for await (const chunk of stream) {
      const frames = parser.push(chunk as Buffer);
      if (frames.length > 0) yield frames;
    }
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw translate(what, error);
  } finally {
    stream.destroy();
  }
}

/** The library's own call holds the whole of a stored log in memory: up to three files of 50 MB. */
function openLog(docker: Docker, containerId: string, { follow, since, signal }: ContainerLogsOptions): Promise<Readable> {
  const { promise, resolve, reject } = Promise.withResolvers<Readable>();
  const request = {
    path: `/containers/${containerId}/logs?`,
    method: 'GET',
    options: { stdout: '1', stderr: '1', timestamps: '1', follow: follow ? '1' : '0', ...(since === undefined ? {} : { since: unixNanoseconds(since) }) },
    abortSignal: signal,
    isStream: true,
    statusCodes: { 200: true, 404: 'no such container', 500: 'server error' },
  };
  docker.modem.dial(request as never, (error: unknown, response: unknown) => (error ? reject(error as Error) : resolve(response as Readable)));
  return promise;
}

/** `2026-11-21T07:30:00.123456789Z` → `1795246200.123456789`, the engine's own notation. */
export function unixNanoseconds(at: string): string {
  const fraction = /\.(\d+)Z$/.exec(at)?.[1] ?? '0';
  const seconds = Math.floor(Date.parse(at.replace(/\.\d+Z$/, 'Z')) / 1000);
  return `${seconds}.${fraction.padEnd(9, '0').slice(0, 9)}`;
}
