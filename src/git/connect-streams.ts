/** Connects a git process with the streams of whoever talks to it; shared by receive-pack and upload-pack. */
import { finished, type Readable, type Writable } from 'node:stream';
import { finished as whenFinished } from 'node:stream/promises';
import type { StartedProcess } from '../run-process.ts';

export interface ServiceStreams {
  readonly stdin: Readable;
  /** Not ended here: the door owns it. */
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** The client has left: git's input ends, and what it still writes is thrown away. */
  readonly signal: AbortSignal;
}

/**
 * Runs to the end of the process; resolves to its exit status once all output is handed over. A client that leaves
 * never blocks or kills the process: stdin is closed and output discarded.
 */
export async function connectStreams(child: StartedProcess, streams: ServiceStreams): Promise<number> {
  const { signal } = streams;
  const stopFeeding = feed(streams.stdin, child.stdin);
  const outputs = [hand(child.stdout, streams.stdout), hand(child.stderr, streams.stderr)];
  const leave = (): void => {
    stopFeeding();
    for (const output of outputs) output.discard();
  };
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  try {
    const [result] = await Promise.all([child, ...outputs.map(({ done }) => done)]);
    // Killed by a signal, or never started: not a yes in any case.
    return result.exitCode ?? 128;
  } finally {
    signal.removeEventListener('abort', leave);
    stopFeeding();
  }
}

/** Copies with back-pressure; an input that breaks off ends the process's input too. Returns how to stop. */
function feed(source: Readable, sink: Writable): () => void {
  const end = (): void => {
    source.unpipe(sink);
    if (sink.writable) sink.end();
  };
  // Git may close its input before it has read everything.
  sink.on('error', () => source.unpipe(sink));
  const forget = finished(source, { writable: false }, end);
  source.pipe(sink);
  return () => {
    forget();
    source.on('error', () => undefined);
    end();
  };
}

/** Copies until the source ends, or throws away once the sink has gone. */
function hand(source: Readable, sink: Writable): { readonly done: Promise<void>; discard(): void } {
  const discard = (): void => {
    source.unpipe(sink);
    source.resume();
  };
  if (sink.writable) {
    sink.once('error', discard).once('close', discard);
    source.pipe(sink, { end: false });
  } else discard();
  const done = whenFinished(source, { writable: false }).catch(() => undefined);
  return { done: done.finally(() => sink.off('error', discard).off('close', discard)), discard };
}
