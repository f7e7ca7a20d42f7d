/**
 * The client side of the control socket: the local command line, the OpenSSH relay and the git hook.
 * Imports only Node's builtins and two leaves, because each of its users is started anew for every command.
 */
import { connect, type Socket } from 'node:net';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import type { Terminal } from '../domain.ts';
import { abortError, ForgeError } from '../errors.ts';
import { createDecoder, encodeHeader, encodeJson, frameTypes, maxDataBytes, stdinWindowBytes, type Frame } from './frames.ts';
import type { Hello } from './hello.ts';

/** Exit status after the reader of our output has gone: what a shell reports for SIGPIPE. */
export const outputGoneStatus = 141;

export interface ClientSession {
  readonly socketPath: string;
  readonly hello: Hello;
  /** Bytes (no encoding set), sent as they can be taken; `undefined`: ended at once. */
  readonly stdin: Readable | undefined;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Its size goes with `hello`; later sizes follow from `onResize`. */
  readonly terminal?: Terminal | undefined;
  /** Closes the connection: forge sees that the client left. */
  readonly signal?: AbortSignal | undefined;
  /** Called with each message of the server. A client that has it sends stdin only when it says so. */
  readonly onMessage?: (message: unknown, replies: ClientReplies) => void;
}

export interface ClientReplies {
  send(message: unknown): void;
  /** From here on this is stdin; once a session. */
  sendStdin(stdin: Readable): void;
}

/**
 * Runs one session to its end and resolves to the exit status that forge gave, after everything was written to
 * stdout and stderr. Rejects with `unavailable` when no forge answers or it goes away, with the signal's reason when that aborts.
 */
export async function runSession(session: ClientSession): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = connect({ path: session.socketPath });
  const stdin = createStdinPump(socket);
  const output = createOutput(socket, resolve);
  const decode = createDecoder();
  const replies: ClientReplies = {
    send: (message) => void (socket.writable && socket.write(encodeJson(frameTypes.message, message))),
    sendStdin: (source) => stdin.start(source),
  };
  let status: number | undefined;

  const onFrame = (frame: Frame): void => {
    if (frame.type === frameTypes.stdout) output.write(session.stdout, frame.payload);
    else if (frame.type === frameTypes.stderr) output.write(session.stderr, frame.payload);
    else if (frame.type === frameTypes.credit) stdin.grant(frame.payload.readUInt32BE());
    else if (frame.type === frameTypes.exit) status = (JSON.parse(frame.payload.toString()) as { status: number }).status;
    else if (frame.type === frameTypes.message) session.onMessage?.(JSON.parse(frame.payload.toString()), replies);
  };
  const onAbort = (): void => {
    reject(session.signal ? abortError(session.signal) : undefined);
    socket.destroy();
  };

  socket.on('connect', () => {
    const { terminal } = session;
    socket.write(encodeJson(frameTypes.hello, terminal ? { ...session.hello, terminal: { columns: terminal.columns, rows: terminal.rows } } : session.hello));
    terminal?.onResize((columns, rows) => socket.writable && socket.write(encodeJson(frameTypes.resize, { columns, rows })));
    if (!session.onMessage) stdin.start(session.stdin);
  });
  socket.on('data', (chunk) => {
    try {
      decode(chunk).forEach(onFrame);
    } catch (error) {
      socket.destroy(error as Error);
    }
  });
  socket.on('error', (error: NodeJS.ErrnoException) => reject(unavailable(session.socketPath, error)));
  socket.on('close', () => {
    if (status === undefined) reject(unavailable(session.socketPath, undefined));
    else output.whenWritten(status);
  });
  session.stdout.on('error', output.onError);
  session.stderr.on('error', output.onError);
  if (session.signal?.aborted) onAbort();
  session.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await promise;
  } finally {
    session.signal?.removeEventListener('abort', onAbort);
    stdin.stop();
  }
}

function unavailable(socketPath: string, error: NodeJS.ErrnoException | undefined): ForgeError {
  const isAbsent = error?.code === 'ENOENT' || error?.code === 'ECONNREFUSED';
  const why =
    isAbsent ? `forge is not running: nothing answers at ${socketPath}`
    : error?.code === 'EACCES' ? `no permission to talk to forge at ${socketPath}`
    : `the connection to forge was lost${error ? ` (${error.message})` : ''}`;
  const hint = isAbsent ? 'start it (systemctl start forge, or forge up) and try again' : error?.code === 'EACCES' ? 'run the command as the user forge runs as, or as root' : 'try again';
  return new ForgeError('unavailable', why, { hint, cause: error });
}

/** Sends stdin within the window that the server grants. */
function createStdinPump(socket: Socket) {
  let credit = stdinWindowBytes;
  let source: Readable | undefined;
  const pump = (): void => {
    while (source && credit > 0 && !socket.writableNeedDrain && socket.writable) {
      // Asks for more without taking it, so that never more than the credit is taken.
      if (source.readableLength === 0) source.read(0);
      if (source.readableLength === 0) return;
      const chunk = source.read(Math.min(source.readableLength, credit, maxDataBytes)) as Buffer | null;
      if (chunk === null) return;
      socket.cork();
      socket.write(encodeHeader(frameTypes.stdin, chunk.length));
      socket.write(chunk);
      socket.uncork();
      credit -= chunk.length;
    }
  };
  const end = (): void => {
    if (socket.writable) socket.write(encodeHeader(frameTypes.stdinEnd, 0));
  };
  const fail = (error: Error): void => void socket.destroy(error);
  socket.on('drain', pump);
  return {
    start: (stdin: Readable | undefined): void => {
      if (!stdin) return end();
      // Streams of objects count objects, not bytes.
      source = stdin.readableObjectMode ? stdin.pipe(new PassThrough()) : stdin;
      source.on('readable', pump).on('end', end).on('error', fail);
      pump();
    },
    grant: (bytes: number): void => {
      credit += bytes;
      pump();
    },
    /** Lets the process end although its stdin is still open. */
    stop: (): void => {
      source?.off('readable', pump).off('end', end).off('error', fail);
      source?.on('error', () => undefined).pause();
      (source as { unref?: () => void } | undefined)?.unref?.();
      source = undefined;
    },
  };
}

/** Writes to stdout and stderr, holds the socket back while they are full, and knows when all is written. */
function createOutput(socket: Socket, resolve: (status: number) => void) {
  const full = new Set<Writable>();
  let unwritten = 0;
  let final: number | undefined;
  const settle = (): void => {
    if (unwritten === 0 && final !== undefined) resolve(final);
  };
  return {
    write: (output: Writable, payload: Buffer): void => {
      unwritten += 1;
      const isTaken = output.write(payload, () => {
        unwritten -= 1;
        settle();
      });
      if (isTaken || full.has(output)) return;
      full.add(output);
      socket.pause();
      output.once('drain', () => {
        full.delete(output);
        if (full.size === 0) socket.resume();
      });
    },
    whenWritten: (status: number): void => {
      final = status;
      settle();
    },
    onError: (): void => {
      resolve(outputGoneStatus);
      socket.destroy();
    },
  };
}
