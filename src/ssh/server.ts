/** forge's own SSH server: logins by key, sessions for the dispatcher, and nothing else that SSH can do. */
import { createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import ssh2, { type Connection } from 'ssh2';
import type { HandleSession } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { every } from '../wait.ts';
import { createAdmission } from './admission.ts';
import type { FindKey } from './authenticate.ts';
import { serveConnection, type SshConnection } from './connection.ts';
import { loadHostKey } from './host-key.ts';
import { defaultSshLimits, type SshLimits } from './limits.ts';

/**
 * Clients choose the first of *their* list that is here, and OpenSSH before 9.9 prefers chacha20 and CTR: only GCM is
 * offered, which without native addons is also by far the fastest. Compression is off: packs are compressed already.
 */
const algorithms = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521'],
  serverHostKey: ['ssh-ed25519'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
} satisfies ssh2.Algorithms;

const sweepMs = 5_000;

export interface SshServerOptions {
  readonly hostKeyPath: string;
  readonly bind: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly findKey: FindKey;
  readonly handleSession: HandleSession;
  readonly log: Log;
  readonly limits?: Partial<SshLimits>;
}

export interface SshServer {
  readonly port: number;
  /** `ssh-ed25519 AAAA…`, for known_hosts. */
  readonly hostKey: string;
  /** Ends every session and connection of a key that was removed. */
  endSessionsOf(actorName: string): void;
  /** Takes no more connections, cancels the sessions and closes. */
  close(): Promise<void>;
}

/** Throws `conflict` when the port is in use, `failed` when the host key is damaged. */
export async function createSshServer(options: SshServerOptions): Promise<SshServer> {
  const { log } = options;
  const limits = { ...defaultSshLimits, ...options.limits };
  const hostKey = await loadHostKey(options.hostKeyPath);
  const connections = new Map<Socket, SshConnection>();
  const admission = createAdmission(limits);
  const ssh = new ssh2.Server({
    hostKeys: [hostKey.privateKey],
    ident: 'forge',
    algorithms,
    keepaliveInterval: limits.keepaliveMs,
    keepaliveCountMax: limits.keepaliveCount,
  });
  ssh.on('error', (error: Error) => log.error({ err: error }, 'ssh server failed'));
  ssh.on('connection', (client) => {
    const socket = socketOf(client);
    const { findKey, handleSession } = options;
    const onAuthenticated = () => admission.onAuthenticated(socket);
    connections.set(socket, serveConnection({ client, socket, findKey, handleSession, limits, onAuthenticated, log }));
  });
  const server = createServer({ noDelay: true }, (socket) => {
    if (!admission.admit(socket)) return socket.destroy();
    socket.once('close', () => connections.delete(socket));
    corkPerTick(socket);
    ssh.injectSocket(socket);
  });
  await listen(server, options);
  const sweep = every(Math.min(sweepMs, limits.idleMs, limits.sessionIdleMs), async () => connections.forEach((connection) => connection.sweep(Date.now())), (error) => log.error({ err: error }, 'sweep failed'));

  return {
    port: (server.address() as AddressInfo).port,
    hostKey: hostKey.publicKey,
    endSessionsOf: (actorName) => {
      const reason = new ForgeError('forbidden', `the key ${actorName} was removed`);
      for (const connection of connections.values()) if (connection.actorName() === actorName) void connection.end(reason);
    },
    close: async () => {
      sweep[Symbol.dispose]();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const reason = new ForgeError('unavailable', 'forge is stopping', { hint: 'try again in a moment' });
      await Promise.all([...connections.values()].map((connection) => connection.end(reason)));
      admission.closeAll();
      await closed;
    },
  };
}

/** ssh2 keeps the socket to itself, and tells of a connection only after the client's first line. */
const socketOf = (client: Connection): Socket => (client as unknown as { _sock: Socket })._sock;

/** ssh2 writes each packet in three parts: sent together, they are one system call and one segment. */
function corkPerTick(socket: Socket): void {
  const write = socket.write.bind(socket) as Socket['write'];
  let isCorked = false;
  const corkedWrite = (...args: Parameters<Socket['write']>): boolean => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      process.nextTick(() => {
        isCorked = false;
        socket.uncork();
      });
    }
    return write(...args);
  };
  socket.write = corkedWrite as Socket['write'];
}

async function listen(server: NetServer, { bind, port }: SshServerOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: bind, port, backlog: 511 }, resolve);
  try {
    await promise;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw error;
    const why = code === 'EADDRINUSE' ? 'is in use by another program' : code === 'EACCES' ? 'may not be opened by this user' : 'is on an address that this machine does not have';
    throw new ForgeError('conflict', `the SSH port ${bind}:${port} ${why}`, { hint: 'choose another with --ssh PORT (0 picks a free one)', cause: error });
  }
  server.off('error', reject);
  server.on('error', () => undefined);
}
