/** One SSH connection after the client's first line: its login, its sessions, its end. */
import type { Socket } from 'node:net';
import type { Connection } from 'ssh2';
import type { HandleSession } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { withDeadline } from '../wait.ts';
import { createAuthenticator, type FindKey } from './authenticate.ts';
import type { SshLimits } from './limits.ts';
import { serveSession, type OpenSession } from './session.ts';

/** ssh2 keeps what a client sends beyond its window of 2 MiB, and what a client does not read. No honest client gets here. */
const maxUnreadBytes = 8 * 1024 * 1024;
const maxUnsentBytes = 16 * 1024 * 1024;

/** How long a client may take to read a farewell. */
const hangUpMs = 2_000;

export interface ServeConnection {
  readonly client: Connection;
  readonly socket: Socket;
  readonly findKey: FindKey;
  readonly handleSession: HandleSession;
  readonly limits: SshLimits;
  readonly onAuthenticated: () => void;
  readonly log: Log;
}

export interface SshConnection {
  /** Name of the key it logged in with; `undefined` before. */
  actorName(): string | undefined;
  /** Ends its sessions with this reason, which they still tell the client, then the connection. */
  end(reason: ForgeError): Promise<void>;
  /** Applies the limits of time and bytes; called every now and then. */
  sweep(now: number): void;
}

export function serveConnection(options: ServeConnection): SshConnection {
  const { client, socket, limits, log } = options;
  const sessions = createSessions();
  let proven: { readonly blob: string; readonly name: string } | undefined;

  const end = async (reason: ForgeError): Promise<void> => {
    await sessions.end(reason);
    client.end();
    hangUp(socket);
  };
  client.on(
    'authentication',
    createAuthenticator({
      findKey: options.findKey,
      attempts: limits.authAttempts,
      onTooMany: () => void end(new ForgeError('unauthenticated', 'too many failed logins')),
      onProven: (blob, actor) => (proven = { blob, name: actor.name }),
      log,
    }),
  );
  client.on('ready', options.onAuthenticated);
  client.on('session', (accept, reject) => {
    // The key may have been removed, or its grant changed, since the login.
    const actor = proven && findActor(options, proven.blob);
    if (!actor || sessions.count() >= limits.sessionsPerConnection) return reject();
    sessions.add(serveSession(accept(), { socket, actor, handleSession: options.handleSession, log }));
  });
  client.on('error', (error) => {
    log.debug({ err: error }, 'ssh connection failed');
    sessions.lose();
    hangUp(socket);
  });
  client.on('end', sessions.lose);
  client.on('close', sessions.lose);
  socket.on('data', () => {
    if (socket.writableLength > maxUnsentBytes || sessions.haveUnread(maxUnreadBytes)) socket.destroy();
  });
  const needsRekey = createRekeyCounter(client, socket, limits.rekeyBytes);
  return {
    actorName: () => proven?.name,
    end,
    sweep: (now) => {
      if (needsRekey()) client.rekey();
      sessions.endIdle(now, limits);
      if (proven && sessions.areQuietSince(now - limits.idleMs)) void end(new ForgeError('timeout', 'the connection was idle'));
    },
  };
}

/** The open sessions of a connection. */
function createSessions() {
  const sessions = new Set<OpenSession>();
  let quietSince = Date.now();
  return {
    count: (): number => sessions.size,
    add: (session: OpenSession): void => {
      sessions.add(session);
      void session.ended.then(() => {
        sessions.delete(session);
        quietSince = Date.now();
      });
    },
    lose: (): void => {
      const reason = new ForgeError('canceled', 'the client disconnected');
      for (const session of sessions) session.lose(reason);
    },
    /** Resolves when they have ended, or their time for that is over. */
    end: async (reason: ForgeError): Promise<void> => {
      for (const session of sessions) session.cancel(reason);
      const deadline = AbortSignal.timeout(hangUpMs);
      const overdue = new Promise<void>((resolve) => deadline.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([Promise.all([...sessions].map(({ ended }) => ended)), overdue]);
    },
    endIdle: (now: number, limits: SshLimits): void => {
      for (const session of sessions) endIfIdle(session, now, limits);
    },
    haveUnread: (bytes: number): boolean => sessions.values().some((session) => session.unreadBytes() > bytes),
    areQuietSince: (time: number): boolean => sessions.size === 0 && quietSince < time,
  };
}

function findActor({ findKey, log }: ServeConnection, blob: string) {
  try {
    return findKey(blob);
  } catch (error) {
    log.error({ err: error }, 'key could not be looked up');
    return undefined;
  }
}

/** Lets what is written reach the client, but does not wait for a dead one. */
function hangUp(socket: Socket): void {
  if (socket.destroyed) return;
  const deadline = withDeadline(hangUpMs, 'the client does not hang up');
  deadline.addEventListener('abort', () => socket.destroy(), { once: true });
  socket.once('close', () => deadline[Symbol.dispose]());
  socket.end();
}

function endIfIdle(session: OpenSession, now: number, limits: SshLimits): void {
  const { isRunning, at } = session.activity();
  const allowedMs = isRunning ? limits.sessionIdleMs : limits.idleMs;
  if (now - at <= allowedMs) return;
  const reason = new ForgeError('timeout', `nothing was sent or received for ${Math.round(allowedMs / 1000)} s`);
  if (isRunning) session.cancel(reason);
  else session.lose(reason);
}

/** True when so many bytes went over the connection since its keys were last exchanged, by either side's wish. */
function createRekeyCounter(client: Connection, socket: Socket, rekeyBytes: number): () => boolean {
  const total = (): number => socket.bytesRead + socket.bytesWritten;
  let exchangedAt = 0;
  client.on('rekey', () => (exchangedAt = total()));
  return () => {
    if (total() - exchangedAt < rekeyBytes) return false;
    exchangedAt = total();
    return true;
  };
}
