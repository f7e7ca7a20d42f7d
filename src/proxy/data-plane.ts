/** The part that serves: one HTTP server over the current router. Several may run, one per worker process. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import type { RouteTable } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { every } from '../wait.ts';
import { Exchange, type ExchangeScope } from './exchange.ts';
import { hostRefusal, readHead, type Head, type Refusal } from './head.ts';
import type { ProxyOptions } from './options.ts';
import { closeIdleConnections, responseInProgress } from './idle-connections.ts';
import { pages, rawPage, refusalPage, sendPage, type Page } from './pages.ts';
import type { Router, RouterEntry } from './router.ts';
import { createTargets, type DrainRequest } from './targets.ts';
import type { Target } from './target.ts';
import { WaitingList } from './waiting-list.ts';
import { responseOn, startUpgrade } from './upgrade.ts';

export interface DataPlane {
  /** Serves from this table from the next request on; targets it leaves out get no more. */
  apply(table: RouteTable): void;
  drain(request: DrainRequest, signal: AbortSignal): Promise<void>;
  /** The port it listens on. */
  listen(): Promise<number>;
  /** Stops listening and waits until what is in flight has ended; cuts it off when the signal aborts. */
  close(signal: AbortSignal): Promise<void>;
}

const sweepMs = 250;
const connectTimeoutMs = 5000;
/** Below the 5 s after which Node apps close idle connections by default. */
const targetKeepAliveMs = 4000;
const maxConnections = 20_000;

export function createDataPlane(options: ProxyOptions, log: Log): DataPlane {
  const targets = createTargets({ connectTimeoutMs, keepAliveMs: targetKeepAliveMs });
  let router: Router<Target> | undefined;
  const scope: ExchangeScope = { log, waiting: new WaitingList(), unflushed: [], clock: { nowMs: performance.now() }, find: (host) => router?.find(host), hasTable: () => router !== undefined, onTunnel: (socket) => idle.forget(socket) };
  const server = createServer({
    maxHeaderSize: options.maxHeadBytes,
    headersTimeout: options.headerTimeoutMs,
    // Bodies may take any time as long as they move; a stalled one is an idle connection.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(1000, options.headerTimeoutMs),
    // Idle connections are closed by `closeIdleConnections`.
    keepAliveTimeout: 0,
    insecureHTTPParser: false,
    requireHostHeader: false,
    // HTTP/2 is not offered here; who asks (Java's client always does) is answered in HTTP/1.1, as RFC 9110 7.8 allows.
    shouldUpgradeCallback: (request) => !asksForHttp2(request),
    noDelay: true,
    // Notices peers that are gone without a word behind tunnels and quiet streams.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  server.maxHeadersCount = 0;
  server.maxConnections = maxConnections;
  serve(server, scope);
  const onError = (error: unknown): void => log.error({ err: error }, 'sweep failed');
  const idle = closeIdleConnections(server, options.idleTimeoutMs, onError);
  const sweeps = [every(sweepMs, async () => expireHeads(scope, options.responseTimeoutMs), onError), idle];

  return {
    apply(table) {
      const next = targets.route(table);
      router = next.router;
      next.retire();
    },
    drain: (request, signal) => targets.drain(request, signal),
    listen: () => listen(server, options),
    async close(signal) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      targets.close();
      const cut = (): void => server.closeAllConnections();
      if (signal.aborted) cut();
      else signal.addEventListener('abort', cut, { once: true });
      await closed;
      signal.removeEventListener('abort', cut);
      for (const sweep of sweeps) sweep[Symbol.dispose]();
    },
  };
}

function serve(server: Server, scope: ExchangeScope): void {
  const nextId = requestIds();
  let turn = 0;
  /** The head and the entry that serves it, or the page that answers instead. */
  const admit = (request: IncomingMessage, requestId: string): { readonly head: Head; readonly entry: RouterEntry<Target> } | Page => {
    const head = readHead(request, peerOf(request.socket), requestId);
    if ('status' in head) return refusalOf(head);
    const entry = scope.find(head.host);
    if (entry === undefined) {
      const refusal = hostRefusal(head.host);
      if (refusal !== undefined) return refusalOf(refusal);
      return scope.hasTable() ? pages.unknownHost : pages.noTable;
    }
    return entry.targets.length === 0 ? pages.noRelease : { head, entry };
  };
  const handle = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const requestId = nextId();
    const admitted = admit(request, requestId);
    if ('status' in admitted) {
      sendPage(response, admitted, { id: requestId, accept: request.headers.accept, close: expectsContinue || admitted.status === 400 || admitted.status === 405 });
      return;
    }
    if (expectsContinue) response.writeContinue();
    turn = (turn + 1) | 0;
    new Exchange(scope, { request, response, ...admitted }).start(turn & 0xffff);
  };
  server.on('request', (request, response) => handle(request, response, false));
  server.on('checkContinue', (request, response) => handle(request, response, true));
  server.on('checkExpectation', (request, response) => {
    sendPage(response, refusalPage(417, 'Expect may only be "100-continue".'), { id: nextId(), accept: request.headers.accept, close: true });
  });
  server.on('upgrade', (request, socket: Socket, rest) => {
    socket.on('error', () => socket.destroy());
    const requestId = nextId();
    const admitted = admit(request, requestId);
    const page = 'status' in admitted ? admitted : upgradeRefusal(admitted.head);
    if (page !== undefined) sendPage(responseOn(request, socket), page, { id: requestId, accept: request.headers.accept, close: true });
    else if ('head' in admitted) startUpgrade(scope, { request, socket, rest, head: admitted.head, targets: admitted.entry.targets }, ++turn & 0xffff);
  });
  server.on('connect', (_request, socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(rawPage(refusalPage(405, 'This method is not allowed.'), nextId()));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => answerBroken(error, socket, nextId));
}

const refusalOf = (refusal: Refusal): Page => refusalPage(refusal.status, refusal.reason);

function upgradeRefusal(head: Head): Page | undefined {
  if (head.hasBody) return refusalPage(400, 'A request for an upgrade may not have a body.');
  // Node before 24.9 does not ask the callback.
  if (head.upgrade.toLowerCase().includes('h2c')) return refusalPage(400, 'HTTP/2 is not available over an upgrade.');
  return undefined;
}

const asksForHttp2 = (request: IncomingMessage): boolean => /(^|[,\s])h2c([,\s]|$)/i.test(request.headers.upgrade ?? '');

const statusByCode: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The head of the request is too large.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions of the request are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
};

/**
 * A connection whose bytes are no request. An answer may only be written where it cannot be taken for a part of, or
 * for, the answer to an earlier request: nothing is being answered, or it is this very request whose body is broken.
 */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket, nextId: () => string): void {
  const answering = responseInProgress(socket);
  const mayAnswer = answering === undefined || (!answering.headersSent && !answering.req.complete);
  if (error.code === 'ECONNRESET' || !socket.writable || !mayAnswer) {
    socket.destroy();
    return;
  }
  const [status, reason] = statusByCode[error.code ?? ''] ?? [400, 'The request is not valid HTTP.'];
  socket.end(rawPage(refusalPage(status, reason), nextId()), () => socket.destroy());
}

function expireHeads(scope: ExchangeScope, timeoutMs: number): void {
  scope.clock.nowMs = performance.now();
  const oldest = scope.clock.nowMs - timeoutMs;
  for (const exchange of scope.waiting.filter((each) => each.waitsSince < oldest)) {
    scope.waiting.delete(exchange);
    exchange.onHeadTimeout();
  }
}

async function listen(server: Server, options: ProxyOptions): Promise<number> {
  try {
    server.listen(options.http, options.bind);
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, options);
  }
  return (server.address() as AddressInfo).port;
}

function listenError(error: NodeJS.ErrnoException, { bind, http }: ProxyOptions): unknown {
  if (error.code === 'EADDRINUSE') {
    return new ForgeError('conflict', `the proxy cannot listen on ${bind}:${http}: the port is in use`, { hint: `see who has it with: ss -ltnp 'sport = :${http}', or choose another with --http`, cause: error });
  }
  if (error.code === 'EACCES') {
    return new ForgeError('forbidden', `the proxy may not listen on port ${http}`, { hint: 'ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --http', cause: error });
  }
  return error;
}

/** Unique across restarts and workers, cheap to make. */
function requestIds(): () => string {
  const prefix = randomBytes(9).toString('hex');
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}

function peerOf(socket: Socket): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
