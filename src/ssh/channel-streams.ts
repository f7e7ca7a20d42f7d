/** The three streams of a session over an ssh2 channel, with the back-pressure and the endings that the channel itself lacks. */
import type { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { ServerChannel } from 'ssh2';
import type { ForgeError } from '../errors.ts';
import { untilAborted, withDeadline } from '../wait.ts';

const bufferBytes = 64 * 1024;

/** How long a client may take to read what is left when its session has ended. */
const lastOutputMs = 300_000;

export interface ChannelStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Writes out what is left, sends the exit status and closes the channel. Never rejects. */
  finish(status: number): Promise<void>;
  /** The client has gone: every stream fails with this error, and nothing waits for the client any more. */
  lose(reason: ForgeError): void;
}

export interface ChannelStreamsOptions {
  readonly channel: ServerChannel;
  /** The connection under it; ssh2 writes to it without looking whether it takes more. */
  readonly socket: Socket;
  /** The client's terminal is in raw mode: line ends must be CR LF. */
  readonly hasTerminal: boolean;
  /** Called for every chunk in either direction. */
  readonly onActivity: () => void;
}

export function openChannelStreams({ channel, socket, hasTerminal, onActivity }: ChannelStreamsOptions): ChannelStreams {
  const writer = createWriter(channel, socket);
  const output = (target: Writable): Writable => {
    const toTerminal = hasTerminal ? createLineEnds() : (chunk: Buffer) => chunk;
    const write = (chunk: Buffer, done: Job['done']): void => {
      onActivity();
      writer.write(target, toTerminal(chunk), done);
    };
    return tolerant(
      new Writable({
        highWaterMark: bufferBytes,
        write: (chunk: Buffer, _encoding, done) => write(chunk, done),
        // Many small writes become few packets.
        writev: (chunks, done) => write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
      }),
    );
  };
  const stdin = createStdin(channel, onActivity);
  const stdout = output(channel);
  const stderr = output(channel.stderr);
  channel.on('error', () => undefined);
  channel.stderr.on('error', () => undefined);
  return {
    stdin,
    stdout,
    stderr,
    finish: async (status) => {
      await flush([stdout, stderr]);
      stdin.destroy();
      // What the client still sends is not read, and must not hold up the close.
      channel.resume();
      channel.exit(status);
      channel.end();
    },
    lose: (reason) => {
      writer.lose(reason);
      for (const stream of [stdin, stdout, stderr]) stream.destroy(reason);
    },
  };
}

/** Whoever handles the session may have stopped looking at the stream before it fails. */
function tolerant<S extends Readable | Writable>(stream: S): S {
  stream.on('error', () => undefined);
  return stream;
}

async function flush(outputs: readonly Writable[]): Promise<void> {
  using deadline = withDeadline(lastOutputMs, 'the client does not read its output');
  try {
    await untilAborted(Promise.all(outputs.map((output) => finished(output.end()))), deadline);
  } catch {
    // Gone or stuck: there is nobody to tell.
  }
}

function createStdin(channel: ServerChannel, onActivity: () => void): Readable {
  const stdin = new Readable({ highWaterMark: bufferBytes, read: () => void channel.resume() });
  channel.pause();
  channel.on('data', (chunk: Buffer) => {
    onActivity();
    if (stdin.destroyed || stdin.readableEnded) return;
    if (!stdin.push(chunk)) channel.pause();
  });
  channel.on('end', () => void (stdin.destroyed || stdin.push(null)));
  return tolerant(stdin);
}

interface Job {
  readonly target: Writable;
  readonly chunk: Buffer;
  readonly done: (error?: Error | null) => void;
}

/**
 * One write at a time for stdout and stderr together: they share the client's window, and ssh2 mixes them up when both
 * wait for it (it keeps the chunk that waited last on stdout, and sends it again). The next write waits until the socket took this one.
 */
function createWriter(channel: ServerChannel, socket: Socket) {
  const jobs: Job[] = [];
  let current: Job | undefined;
  let lost: Error | undefined;
  const next = (): void => {
    current = jobs.shift();
    if (!current) return;
    Object.assign(channel, { _chunk: undefined, _chunkcb: undefined, _chunkErr: undefined, _chunkcbErr: undefined });
    current.target.write(current.chunk, written);
  };
  const written = (): void => {
    if (lost) return;
    if (socket.writableNeedDrain) socket.once('drain', settle);
    else settle();
  };
  const settle = (): void => {
    const done = current?.done;
    if (lost || !done) return;
    next();
    done();
  };
  return {
    write: (target: Writable, chunk: Buffer, done: Job['done']): void => {
      if (lost) return done(lost);
      jobs.push({ target, chunk, done });
      if (!current) next();
    },
    lose: (reason: Error): void => {
      if (lost) return;
      lost = reason;
      const waiting = current ? [current, ...jobs] : jobs;
      current = undefined;
      for (const { done } of waiting.splice(0)) done(reason);
    },
  };
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Puts a CR before every LF that has none, across chunks. */
function createLineEnds(): (chunk: Buffer) => Buffer {
  let last = 0;
  return (chunk) => {
    const previous = last;
    last = chunk.at(-1) ?? last;
    if (!chunk.includes(lineFeed)) return chunk;
    const bytes: number[] = [];
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk.readUInt8(at);
      const before = at === 0 ? previous : chunk.readUInt8(at - 1);
      if (byte === lineFeed && before !== carriageReturn) bytes.push(carriageReturn);
      bytes.push(byte);
    }
    return Buffer.from(bytes);
  };
}
