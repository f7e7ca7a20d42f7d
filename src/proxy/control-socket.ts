/** The proxy's side of its unix socket: takes tables and drains from the control plane. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { ForgeError, isForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { encodeLine, readLines, type ProxyAddresses, type ProxyAnswer, type ProxyRequest } from './protocol.ts';
import type { RouteTable } from '../domain.ts';
import type { DrainRequest } from './targets.ts';

/** What the socket's requests are done with; each resolves when every worker has done it. */
export interface ProxyControls {
  apply(table: RouteTable): Promise<void>;
  drain(request: DrainRequest, signal: AbortSignal): Promise<void>;
  addresses(): ProxyAddresses;
}

/**
 * Listens on `path` (mode 0660: the directory and the group decide who may connect). A socket file left by a dead
 * proxy is replaced; throws `conflict` when a living one answers there.
 */
export async function listenControls(path: string, controls: ProxyControls, log: Log): Promise<{ close(): Promise<void> }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  if (await isAlive(path)) {
    throw new ForgeError('conflict', `another proxy answers on ${path}`, { hint: 'stop it first, or give this one a state directory of its own with --proxy-dir' });
  }
  await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serveControls(socket, controls).catch((error: unknown) => {
      log.warn({ err: error }, 'connection of the control plane ended');
      socket.destroy();
    });
  });
  server.listen(path);
  await once(server, 'listening');
  await chmod(path, 0o660);
  return {
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function isAlive(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function serveControls(socket: Socket, controls: ProxyControls): Promise<void> {
  const gone = new AbortController();
  socket.on('error', () => undefined);
  socket.on('close', () => gone.abort());
  // Tables of one connection only go forward; another connection is another control plane, which may count anew.
  let newest = -Infinity;
  const apply = async (table: RouteTable): Promise<void> => {
    if (table.version < newest) throw new ForgeError('superseded', `table ${table.version} is older than table ${newest}`);
    newest = table.version;
    await controls.apply(table);
  };
  const run = async (request: ProxyRequest): Promise<ProxyAnswer> => {
    switch (request.kind) {
      case 'apply':
        await apply(request.table);
        return { id: request.id, isOk: true };
      case 'drain':
        await controls.drain(request, gone.signal);
        return { id: request.id, isOk: true };
      case 'addresses':
        return { id: request.id, isOk: true, addresses: controls.addresses() };
    }
  };
  for await (const request of readLines<ProxyRequest>(socket)) {
    // Not awaited: a drain of half a minute must not hold back the next table.
    void run(request)
      .catch((error: unknown): ProxyAnswer => {
        const known = isForgeError(error) ? error : new ForgeError('internal', (error as Error).message, { cause: error });
        return { id: request.id, isOk: false, code: known.code, message: known.message };
      })
      .then((answer) => socket.writable && socket.write(encodeLine(answer)));
  }
}
