/** A proxy of one test with real apps behind it and raw clients in front of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Route, RouteTarget } from '../../src/domain.ts';
import { createLog } from '../../src/log.ts';
import { connectProxy } from '../../src/proxy/client.ts';
import { controlSocketOf, runProxy } from '../../src/proxy/main.ts';
import type { ProxyOptions } from '../../src/proxy/options.ts';
import { delay } from '../../src/wait.ts';

export const silent = createLog('silent', 'test');

export type Stage = Awaited<ReturnType<typeof openStage>>;

export const optionsFor = (stateDir: string): ProxyOptions => ({
  stateDir,
  bind: '127.0.0.1',
  http: 0,
  workers: 1,
  headerTimeoutMs: 15_000,
  idleTimeoutMs: 75_000,
  responseTimeoutMs: 60_000,
  maxHeadBytes: 32 * 1024,
  logLevel: 'silent',
});

/** Starts a proxy in a directory of its own; everything opened through it goes with `close`. */
export async function openStage(overrides: Partial<ProxyOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'forge-proxy-'));
  const proxy = await runProxy({ ...optionsFor(directory), ...overrides });
  const client = connectProxy({ socketPath: controlSocketOf(directory), log: silent });
  const controlSocket = join(directory, 'control.sock');
  const closers: (() => void)[] = [];
  let version = 0;
  return {
    directory,
    controlSocket,
    proxy,
    client,
    port: proxy.addresses.http,
    /** Applies a table with these routes. */
    async serve(routes: readonly Route[]): Promise<void> {
      version += 1;
      await client.apply({ version, controlHost: 'forge.test', controlSocket, routes }, AbortSignal.timeout(5000));
    },
    /** A node:http app, as a target. */
    async app(id: string, listener: RequestListener): Promise<RouteTarget & { readonly server: Server; stop(): Promise<void> }> {
      const server = createServer(listener);
      closers.push(() => server.closeAllConnections(), () => server.close());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const stop = async (): Promise<void> => {
        server.closeAllConnections();
        server.close();
        if (server.listening) await once(server, 'close');
      };
      return { id, address: '127.0.0.1', port: (server.address() as AddressInfo).port, server, stop };
    },
    /** An app that speaks bytes. */
    async bytesApp(id: string, onSocket: (socket: Socket) => void): Promise<RouteTarget & { readonly server: TcpServer }> {
      const sockets = new Set<Socket>();
      const server = createTcpServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined);
        onSocket(socket);
      });
      closers.push(() => sockets.forEach((socket) => socket.destroy()), () => server.close());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { id, address: '127.0.0.1', port: (server.address() as AddressInfo).port, server };
    },
    async close(): Promise<void> {
      for (const close of closers) close();
      await client.close();
      await proxy.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export const route = (host: string, ...targets: readonly RouteTarget[]): Route => ({
  host,
  app: host.split('.')[0] ?? host,
  targets: targets.map(({ id, address, port }) => ({ id, address, port })),
});

/** A client that speaks bytes. */
export function rawClient(port: number) {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  let isClosed = false;
  let hadError = false;
  const changed: (() => void)[] = [];
  const notify = (): void => changed.splice(0).forEach((wake) => wake());
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
    notify();
  });
  socket.on('error', () => {
    hadError = true;
  });
  socket.on('close', () => {
    isClosed = true;
    notify();
  });
  return {
    socket,
    send(bytes: string | Buffer): void {
      socket.write(bytes, 'latin1');
    },
    get text() {
      return text;
    },
    get isClosed() {
      return isClosed;
    },
    get wasReset() {
      return hadError;
    },
    /** Everything received, once it satisfies the condition. */
    async until(condition: (text: string, isClosed: boolean) => boolean, timeoutMs = 5000): Promise<string> {
      const deadline = AbortSignal.timeout(timeoutMs);
      while (!condition(text, isClosed)) {
        if (deadline.aborted) throw new Error(`not within ${timeoutMs} ms; closed: ${isClosed}; received so far:\n${text}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        changed.push(resolve);
        deadline.addEventListener('abort', () => resolve(), { once: true });
        await promise;
      }
      return text;
    },
    async untilClosed(): Promise<string> {
      return this.until((_text, closed) => closed);
    },
  };
}

/** Sends bytes, waits for the end of the connection, gives what came back. */
export async function exchangeBytes(port: number, bytes: string): Promise<string> {
  const client = rawClient(port);
  client.send(bytes);
  return client.untilClosed();
}

/** An ordinary client's request; the body as text. */
export async function fetchText(port: number, path: string, options: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string | Buffer } = {}): Promise<{ response: IncomingMessage; body: string }> {
  const request = httpRequest({ port, path, method: options.method ?? 'GET', headers: { host: 'a.test', ...options.headers }, agent: false });
  request.end(options.body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('latin1')) body += String(chunk);
  return { response, body };
}

/** Polls until the condition holds; for what has no event to wait on. */
export async function eventually(condition: () => boolean | Promise<boolean>, timeoutMs = 5000): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs);
  while (!(await condition())) {
    if (deadline.aborted) throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    await delay(10);
  }
}
