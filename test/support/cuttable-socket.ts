import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A unix socket in front of another one, which a test can take away and bring back. */
export interface CuttableSocket {
  readonly path: string;
  /** Ends every connection; from now on nothing listens. */
  cut(): Promise<void>;
  restore(): Promise<void>;
}

export async function openCuttableSocket(path: string, target: string): Promise<CuttableSocket> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const restore = async (): Promise<void> => {
    // Half-open, because an engine's attached streams end one side at a time.
    server = createServer({ allowHalfOpen: true }, (client) => {
      const engine = keep(connect({ path: target, allowHalfOpen: true }));
      keep(client).pipe(engine).pipe(client);
    });
    await new Promise<void>((resolve) => server?.listen(path, resolve));
  };
  const cut = async (): Promise<void> => {
    const closed = new Promise((resolve) => server?.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
    await rm(path, { force: true });
  };
  await restore();
  return { path, cut, restore };
}
