/** One ssh2 session as a `Session`: collects what the client asks for before its command, then runs it. */
import type { Socket } from 'node:net';
import type { ServerChannel, Session as Ssh2Session } from 'ssh2';
import type { Actor, HandleSession } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createTerminal, type ResizableTerminal } from '../resizable-terminal.ts';
import { openChannelStreams, type ChannelStreams } from './channel-streams.ts';
import { parseCommand } from './parse-command.ts';
import { reportError } from './report-error.ts';

/** RFC 4254 has every side take 32 KiB; a tiny size would make each byte a packet, and zero would make ssh2 spin for ever. */
const minPacketBytes = 1024;
const maxPacketBytes = 32 * 1024;

export interface ServeSession {
  readonly socket: Socket;
  readonly actor: Actor;
  readonly handleSession: HandleSession;
  readonly log: Log;
}

export interface OpenSession {
  /** Settles when the session has ended, whatever the reason; never rejects. */
  readonly ended: Promise<void>;
  /** Bytes received that its handler has not read yet. */
  unreadBytes(): number;
  /** Whether its command runs; the time (ms) of the last byte in either direction. */
  activity(): { readonly isRunning: boolean; readonly at: number };
  /** Asks the handler to stop; what it still writes reaches the client. */
  cancel(reason: ForgeError): void;
  /** The client is gone: the handler is asked to stop, and its streams fail. */
  lose(reason: ForgeError): void;
}

/** What the client may ask before its command: a terminal and git's protocol version. ssh2 refuses what has no listener. */
export function serveSession(session: Ssh2Session, options: ServeSession): OpenSession {
  const ended = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let isRunning = false;
  const controller = new AbortController();
  let terminal: ResizableTerminal | undefined;
  let gitProtocol: string | undefined;
  let channel: ServerChannel | undefined;
  let streams: ChannelStreams | undefined;
  let activeAt = Date.now();

  const lose = (reason: ForgeError): void => {
    controller.abort(reason);
    streams?.lose(reason);
    closed.resolve();
    if (!isRunning) ended.resolve();
  };
  const start = (opened: ServerChannel | undefined, command: string): void => {
    if (!opened) return;
    if (!hasUsablePackets(opened)) return opened.close();
    channel = opened;
    streams = openChannelStreams({ channel, socket: options.socket, hasTerminal: terminal !== undefined, onActivity: () => (activeAt = Date.now()) });
    const { stdin, stdout, stderr } = streams;
    isRunning = true;
    const parts = { actor: options.actor, stdin, stdout, stderr, terminal, gitProtocol, signal: controller.signal };
    void runCommand(command, parts, options).then(streams.finish).finally(() => {
      isRunning = false;
      // The client answers the close, so it has the exit status by then.
      void closed.promise.then(ended.resolve);
    });
  };

  session.on('pty', (accept, _reject, { cols, rows }) => {
    terminal = createTerminal(cols, rows);
    accept?.();
  });
  session.on('window-change', (accept, _reject, { cols, rows }) => {
    terminal?.resize(cols, rows);
    accept?.();
  });
  session.on('env', (accept, reject, { key, val }) => {
    if (key !== 'GIT_PROTOCOL' || !isGitProtocol(val)) return (reject as (() => void) | undefined)?.();
    gitProtocol = val;
    accept?.();
  });
  session.on('signal', (_accept, _reject, { name }) => void (endingSignals.has(name) && controller.abort(new ForgeError('canceled', `canceled by ${name}`))));
  session.on('shell', (accept) => start(accept(), ''));
  session.on('exec', (accept, _reject, { command }) => start(accept(), command));
  session.on('close', () => lose(new ForgeError('canceled', 'the client closed the session')));

  return {
    ended: ended.promise,
    unreadBytes: () => channel?.readableLength ?? 0,
    activity: () => ({ isRunning, at: activeAt }),
    cancel: (reason) => controller.abort(reason),
    lose,
  };
}

const endingSignals: ReadonlySet<string> = new Set(['INT', 'TERM', 'HUP', 'KILL', 'QUIT']);

type Parts = Omit<Parameters<HandleSession>[0], 'argv'>;

/** Resolves to the exit status; a command that cannot be read, or a handler that throws, has told why. */
async function runCommand(command: string, parts: Parts, { handleSession, log }: ServeSession): Promise<number> {
  try {
    return await handleSession({ ...parts, argv: parseCommand(command) });
  } catch (error) {
    return reportError(error, parts.stderr, log);
  }
}

/** Whether git may be given this value of GIT_PROTOCOL. */
export const isGitProtocol = (value: string): boolean => /^version=[0-9]$/.test(value);

function hasUsablePackets(channel: ServerChannel): boolean {
  const { outgoing } = channel as unknown as { outgoing: { packetSize: number } };
  outgoing.packetSize = Math.min(outgoing.packetSize, maxPacketBytes);
  return outgoing.packetSize >= minPacketBytes;
}
