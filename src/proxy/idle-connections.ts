/** Closes client connections on which forge waits for the client in vain. */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { every } from '../wait.ts';

interface Seen {
  /** Bytes read and taken at the last look. */
  moved: number;
  /** When they last changed (ms, monotonic). */
  at: number;
  /** Asked for another protocol; until that is answered, forge waits for the app. */
  isUpgrade: boolean;
}

export interface IdleConnections extends Disposable {
  /** Leaves a connection alone from here on: it is a tunnel now. */
  forget(socket: Socket): void;
}

/**
 * Watches every connection of the server from one timer: node:http's own keep-alive timeout sets and clears a timer
 * with each request, which costs more than the proxy's routing. A connection is closed when it has not moved a byte for
 * `timeoutMs` while it is idle, in the middle of a request's body, or not taking its response, and after forge has said
 * its last word. Where forge waits for the app (a long poll, a stream with nothing to say) it stays.
 */
export function closeIdleConnections(server: Server, timeoutMs: number, onError: (error: unknown) => void): IdleConnections {
  const connections = new Map<Socket, Seen>();
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { moved: -1, at: performance.now(), isUpgrade: false });
    socket.on('close', () => connections.delete(socket));
  });
  server.prependListener('upgrade', (_request: unknown, socket: Socket) => {
    const seen = connections.get(socket);
    if (seen) seen.isUpgrade = true;
  });
  const sweep = every(Math.max(50, timeoutMs / 5), async () => {
    const now = performance.now();
    for (const [socket, seen] of connections) {
      // What a client sends after the last word is nothing that forge waits for.
      const moved = (socket.writableEnded ? 0 : socket.bytesRead) + socket.bytesWritten - socket.writableLength;
      if (moved !== seen.moved || !isWaitingForClient(socket, seen)) [seen.moved, seen.at] = [moved, now];
      else if (now - seen.at >= timeoutMs) socket.destroy();
    }
  }, onError);
  return { forget: (socket) => void connections.delete(socket), [Symbol.dispose]: () => sweep[Symbol.dispose]() };
}

function isWaitingForClient(socket: Socket, { isUpgrade }: Seen): boolean {
  const response = responseInProgress(socket);
  if (response === undefined) return !isUpgrade || socket.writableEnded;
  return !response.req.complete || socket.writableLength > 0;
}

/** The response that node:http is writing to this connection: undocumented, and what its own default handlers go by. */
export const responseInProgress = (socket: Socket): ServerResponse | undefined =>
  (socket as Socket & { readonly _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
