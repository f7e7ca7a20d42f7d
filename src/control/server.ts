/** The server side of a control socket: every connection becomes a hello and streams, whatever the client is. */
import { createServer, type Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Terminal } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createTerminal, type ResizableTerminal } from '../resizable-terminal.ts';
import { untilAborted, withDeadline, withTimeout } from '../wait.ts';
import { createDecoder, encodeCredit, encodeHeader, encodeJson, frameTypes, maxDataBytes, stdinWindowBytes, type Frame, type FrameType } from './frames.ts';
import { parseHello, parseTerminalSize, type Hello } from './hello.ts';
import { bindSocket } from './socket-file.ts';

const helloTimeoutMs = 5_000;
/** How long a client may take to read its last output. */
const lastOutputTimeoutMs = 60_000;
const maxConnections = 1_000;

export interface ControlConnection {
  readonly hello: Hello;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly terminal: Terminal | undefined;
  /** Aborts with `canceled` when the client leaves before `exit`. */
  readonly signal: AbortSignal;
  /** Tells the client something beside the streams. */
  send(message: unknown): void;
  /** Called with whatever the client sends that way. */
  onMessage(listener: (message: unknown) => void): void;
  /** Writes out stdout and stderr, sends the status and closes. Resolves when the client has it or is gone; never rejects. Only the first call counts. */
  exit(status: number): Promise<void>;
}

export interface ControlServer {
  readonly socketPath: string;
  /** Takes no more connections, ends those under way and removes the socket file. */
  close(): Promise<void>;
}

export interface ListenControl {
  readonly socketPath: string;
  /** Mode of the socket file, such as 0o600; in force before anyone can connect. */
  readonly mode: number;
  /** Kinds of hello taken here: the relay's socket must not start an operator's session. */
  readonly accepts: readonly Hello['kind'][];
  /** Handles a connection to its end. When it settles without `exit`, forge ends the connection with status 70 and logs why. */
  readonly onConnection: (connection: ControlConnection) => Promise<void>;
  readonly log: Log;
}

/**
 * Listens on a unix socket. A socket file that a dead forge left is replaced; throws `conflict` when a live one
 * answers there, `invalid` when the path cannot be a socket.
 */
export async function listenControl(options: ListenControl): Promise<ControlServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    void serve(socket, options);
  });
  server.maxConnections = maxConnections;
  const removeFile = await bindSocket(server, options.socketPath, options.mode);
  server.on('error', (error) => options.log.error({ err: error, socket: options.socketPath }, 'control socket failed'));
  return {
    socketPath: options.socketPath,
    close: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      await removeFile();
      for (const socket of sockets) socket.destroy();
      await promise;
    },
  };
}

async function serve(socket: Socket, options: ListenControl): Promise<void> {
  const channel = createChannel(socket);
  try {
    const connection = channel.open(await withTimeout(helloTimeoutMs, 'no hello', () => channel.hello));
    if (!options.accepts.includes(connection.hello.kind)) {
      connection.stderr.write(` !     this socket takes no ${connection.hello.kind} connections\n`);
      return await connection.exit(2);
    }
    await options.onConnection(connection);
    await connection.exit(70);
  } catch (error) {
    if (!channel.isOpen()) socket.destroy();
    else await channel.close(70);
    options.log.warn({ err: error, socket: options.socketPath }, 'control connection failed');
  }
}

/** Turns frames into streams and streams into frames. */
function createChannel(socket: Socket) {
  const hello = Promise.withResolvers<Hello>();
  const gone = new AbortController();
  let terminal: ResizableTerminal | undefined;
  const messageListeners: ((message: unknown) => void)[] = [];
  const stdin = createStdin(socket);
  const stdout = createOutput(socket, frameTypes.stdout);
  const stderr = createOutput(socket, frameTypes.stderr);
  let greeting: Hello | undefined;
  let closing: Promise<void> | undefined;
  hello.promise.catch(() => undefined);

  const onFrame = ({ type, payload }: Frame): void => {
    if (type === frameTypes.hello && !greeting) {
      greeting = parseHello(payload.toString());
      terminal = terminalOf(greeting);
      hello.resolve(greeting);
    } else if (!greeting) throw new ForgeError('invalid', 'the first frame is not a hello');
    else if (type === frameTypes.stdin) stdin.take(payload);
    else if (type === frameTypes.stdinEnd) stdin.end();
    else if (type === frameTypes.message) messageListeners.forEach((listen) => listen(JSON.parse(payload.toString())));
    else if (type === frameTypes.resize) {
      const size = parseTerminalSize(JSON.parse(payload.toString()));
      terminal?.resize(size.columns, size.rows);
    } else throw new ForgeError('invalid', `a client may not send frames of type ${type}`);
  };
  const decode = createDecoder();
  socket.on('data', (chunk) => {
    try {
      decode(chunk).forEach(onFrame);
    } catch (error) {
      hello.reject(error);
      socket.destroy();
    }
  });
  // Its `close` follows and tells whoever needs to know.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    const reason = new ForgeError('canceled', 'the client disconnected');
    hello.reject(reason);
    if (!closing) gone.abort(reason);
    stdin.lost(reason);
    stdout.destroy();
    stderr.destroy();
  });

  const close = (status: number): Promise<void> => (closing ??= finish(socket, [stdout, stderr], status));
  const open = (hello: Hello): ControlConnection => ({
    hello,
    stdin: stdin.stream,
    stdout,
    stderr,
    terminal,
    signal: gone.signal,
    send: (message) => void (socket.writable && socket.write(encodeJson(frameTypes.message, message))),
    onMessage: (listener) => void messageListeners.push(listener),
    exit: close,
  });
  return { hello: hello.promise, open, close, isOpen: () => greeting !== undefined };
}

const terminalOf = (hello: Hello): ResizableTerminal | undefined =>
  hello.kind === 'hook' || !hello.terminal ? undefined : createTerminal(hello.terminal.columns, hello.terminal.rows);

/**
 * Stdin as it arrives. `read` is called once less than its mark would stay buffered, and before what is read leaves the buffer: all
 * that was received is granted again, so that a reader is never left with neither bytes nor credit. What waits is bounded by the
 * window and the mark.
 */
function createStdin(socket: Socket) {
  let received = 0;
  let granted = stdinWindowBytes;
  const stream: Readable = new Readable({
    highWaterMark: maxDataBytes,
    read: () => {
      const free = received + stdinWindowBytes - granted;
      if (free <= 0 || !socket.writable) return;
      granted += free;
      socket.write(encodeCredit(free));
    },
  });
  // Whoever handles the session may have stopped reading long before the client leaves.
  stream.on('error', () => undefined);
  return {
    stream,
    take: (payload: Buffer): void => {
      received += payload.length;
      if (received > granted) throw new ForgeError('invalid', 'more stdin than was granted');
      if (!stream.destroyed && !stream.readableEnded) stream.push(payload);
    },
    end: (): void => void stream.push(null),
    lost: (reason: Error): void => void (stream.readableEnded || stream.destroy(reason)),
  };
}

function createOutput(socket: Socket, type: FrameType): Writable {
  const write = (chunk: Buffer, done: (error?: Error | null) => void): void => {
    if (!socket.writable) return done(new ForgeError('canceled', 'the client disconnected'));
    socket.cork();
    for (let offset = 0; offset < chunk.length; offset += maxDataBytes) {
      const part = chunk.subarray(offset, offset + maxDataBytes);
      socket.write(encodeHeader(type, part.length));
      socket.write(part, offset + maxDataBytes >= chunk.length ? done : undefined);
    }
    socket.uncork();
  };
  const output = new Writable({
    highWaterMark: maxDataBytes,
    write: (chunk: Buffer, _encoding, done) => (chunk.length === 0 ? done() : write(chunk, done)),
  });
  output.on('error', () => undefined);
  return output;
}

async function finish(socket: Socket, outputs: readonly Writable[], status: number): Promise<void> {
  try {
    using deadline = withDeadline(lastOutputTimeoutMs, 'the client does not read its output');
    const closed = Promise.withResolvers<void>();
    socket.once('close', () => closed.resolve());
    if (socket.closed) return;
    // One that its writer broke has nothing more to say; the status still goes out.
    const flushed = Promise.all(outputs.map((output) => finished(output.end()).catch(() => undefined)));
    await untilAborted(Promise.race([flushed, closed.promise]), deadline);
    if (socket.writable) socket.end(encodeJson(frameTypes.exit, { status }));
    await untilAborted(closed.promise, deadline);
  } catch {
    // The client is gone or stuck: there is nobody to tell.
  } finally {
    socket.destroy();
  }
}
