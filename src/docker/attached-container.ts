/** The streams of a container from before its start, so that nothing it writes is missed. */
import type { Duplex } from 'node:stream';
import { boundedConnection } from './bounded-call.ts';
import type { Docker } from './connect.ts';
import { frameParts, type Frame } from './stream-frames.ts';

export interface AttachedContainer {
  /** Chunks of both streams in the order they were written; ends with the container. Reads only as fast as it is taken. */
  readonly output: AsyncIterable<Buffer>;
  /** The same with the stream that each is of; one of the two can be read, once. */
  readonly frames: AsyncIterable<Frame>;
  /** Sends a line to the container's stdin and closes it. */
  sendLine(line: string): void;
  /** Lets go of the streams; the container runs on. */
  detach(): void;
}

/** Attaches to a created container; its stdin too when it was created with one. */
export async function attachContainer(docker: Docker, options: { containerId: string; hasStdin: boolean; signal: AbortSignal }): Promise<AttachedContainer> {
  const { containerId, hasStdin, signal } = options;
  const call = docker.getContainer(containerId).attach({ stream: true, stdin: hasStdin, stdout: true, stderr: true, hijack: hasStdin });
  const stream = await boundedConnection('attach to the container', call, { signal });
  // A connection that breaks ends the iteration below; without a listener it would end the process.
  stream.on('error', () => undefined);
  return {
    output: payloads(stream),
    frames: frameParts(stream),
    sendLine: (line) => void stream.end(`${line}\n`),
    detach: () => void stream.destroy(),
  };
}

async function* payloads(stream: Duplex): AsyncGenerator<Buffer> {
  for await (const { payload } of frameParts(stream)) yield payload;
}
