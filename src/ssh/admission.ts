import type { Socket } from 'node:net';
import { withDeadline } from '../wait.ts';
import type { SshLimits } from './limits.ts';

export interface Admission {
  /** Whether this connection may go on; if so it must log in within the grace time. */
  admit(socket: Socket): boolean;
  onAuthenticated(socket: Socket): void;
  closeAll(): void;
}

/**
 * Counts connections from their first moment, before a byte was read. When strangers have filled their places, the one
 * that has waited longest at the address with the most of them makes room: a login takes a moment, an attack sits there.
 * One address cannot fill them all, and nobody who has logged in loses theirs.
 */
export function createAdmission(limits: SshLimits): Admission {
  const sockets = new Set<Socket>();
  const strangers = new Map<Socket, { readonly address: string; readonly grace: Disposable }>();
  const forget = (socket: Socket): void => {
    strangers.get(socket)?.grace[Symbol.dispose]();
    strangers.delete(socket);
  };
  const hasRoomFor = (address: string): boolean => {
    if (sockets.size >= limits.connections) return false;
    return strangers.values().filter((stranger) => stranger.address === address).toArray().length < limits.unauthenticatedPerAddress;
  };
  const makeRoom = (): void => {
    if (strangers.size < limits.unauthenticated) return;
    // In the order in which they came.
    const byAddress = Map.groupBy(strangers.keys(), (socket) => strangers.get(socket)?.address);
    const [oldest] = byAddress.values().toArray().reduce((most, each) => (each.length > most.length ? each : most));
    oldest?.destroy();
    if (oldest) forget(oldest);
  };
  return {
    admit: (socket) => {
      const address = socket.remoteAddress;
      if (address === undefined || !hasRoomFor(address)) return false;
      makeRoom();
      const grace = withDeadline(limits.loginGraceMs, 'no login in time');
      grace.addEventListener('abort', () => socket.destroy(), { once: true });
      sockets.add(socket);
      strangers.set(socket, { address, grace });
      socket.once('close', () => {
        sockets.delete(socket);
        forget(socket);
      });
      return true;
    },
    onAuthenticated: forget,
    closeAll: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}
