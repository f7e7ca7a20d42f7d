/** Requests that ask for another protocol (WebSocket and the like): one request to the app, then a tunnel. */
import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import type { ExchangeScope, HeadWaiter } from './exchange.ts';
import type { Head } from './head.ts';
import { pages, sendPage, type Page } from './pages.ts';
import { readResponseHead, readTrailers, type ParsedHeaders } from './response-head.ts';
import { chooseTarget, type Connection, type Target } from './target.ts';
import { openTunnel } from './tunnel.ts';
import type { Controller, DispatchHandler } from './undici-client.ts';

export interface UpgradeParts {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** Bytes that the client sent behind its head. */
  readonly rest: Buffer;
  readonly head: Head;
  /** Those of the table in which the request was admitted; a further attempt asks the table of then. */
  readonly targets: readonly Target[];
}

/** Asks a target for the upgrade. Any answer but 101 reaches the client as an ordinary response, then the connection closes. */
export function startUpgrade(scope: ExchangeScope, parts: UpgradeParts, turn: number): void {
  attempt(scope, parts, { tried: [], turn });
}

function attempt(scope: ExchangeScope, parts: UpgradeParts, state: { readonly tried: readonly Target[]; readonly turn: number }): void {
  const { request, head } = parts;
  const targets = state.tried.length === 0 ? parts.targets : (scope.find(head.host)?.targets ?? []);
  const target = chooseTarget(targets, state.tried, state.turn);
  if (target === undefined) {
    answer(parts, pages.gone);
    return;
  }
  target.claim();
  const connection = target.take(true);
  const leave = (): void => {
    target.discard(connection);
    target.release();
  };
  const handler = new UpgradeHandler(scope, parts, { target, connection, leave, onUnsent: (error) => {
    scope.log.warn({ target: target.id, requestId: head.requestId, code: (error as NodeJS.ErrnoException).code }, 'no connection to the app');
    attempt(scope, parts, { tried: [...state.tried, target], turn: state.turn + 1 });
  } });
  connection.client.dispatch({ path: head.path, method: request.method as 'GET', headers: head.headers, upgrade: head.upgrade }, handler);
}

/** The response object for a connection that node:http has handed over. */
export function responseOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.on('finish', () => {
    // From here on the connection waits for its client alone, whose last bytes are read so that its end is seen.
    response.detachSocket(socket);
    socket.end();
    socket.resume();
  });
  return response;
}

function answer({ request, socket, head }: UpgradeParts, page: Page): void {
  sendPage(responseOn(request, socket), page, { id: head.requestId, accept: request.headers.accept, close: true });
}

interface Attempt {
  readonly target: Target;
  readonly connection: Connection;
  readonly leave: () => void;
  readonly onUnsent: (error: Error) => void;
}

class UpgradeHandler implements DispatchHandler, HeadWaiter {
  place = -1;
  readonly waitsSince: number;
  readonly #scope: ExchangeScope;
  readonly #parts: UpgradeParts;
  readonly #attempt: Attempt;
  #controller: Controller | undefined;
  #response: ServerResponse | undefined;
  #isOver = false;
  #hasTimedOut = false;
  readonly #onClientGone = (): void => {
    this.#controller?.abort(new Error('the client left'));
  };

  constructor(scope: ExchangeScope, parts: UpgradeParts, current: Attempt) {
    this.#scope = scope;
    this.#parts = parts;
    this.#attempt = current;
    this.waitsSince = scope.clock.nowMs;
    scope.waiting.add(this);
    parts.socket.on('close', this.#onClientGone);
  }

  onHeadTimeout(): void {
    this.#hasTimedOut = true;
    if (this.#controller) this.#controller.abort(new Error('response head timeout'));
    else this.#fail(pages.timeout);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#isOver || this.#parts.socket.destroyed) controller.abort(new Error('the client left'));
  }

  onRequestUpgrade(_controller: unknown, status: number, raw: ParsedHeaders, app: Duplex): void {
    this.#isOver = true;
    this.#scope.waiting.delete(this);
    const { socket, rest, head } = this.#parts;
    const { target, leave } = this.#attempt;
    socket.off('close', this.#onClientGone);
    const { headers } = readResponseHead(raw, status);
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Switching Protocols'}\r\nConnection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`;
    for (let index = 0; index < headers.length; index += 2) text += `${headers[index]}: ${headers[index + 1]}\r\n`;
    socket.write(`${text}\r\n`, 'latin1');
    this.#scope.onTunnel(socket);
    if (rest.length > 0) socket.unshift(rest);
    const tunnel = openTunnel(socket, app, { isWebSocket: head.upgrade.toLowerCase() === 'websocket', onEnd: () => target.removeTunnel(tunnel) });
    target.addTunnel(tunnel);
    leave();
  }

  onResponseStart(controller: Controller, status: number, raw: ParsedHeaders): void {
    if (status < 200) return;
    this.#scope.waiting.delete(this);
    const { request, socket } = this.#parts;
    const head = readResponseHead(raw, status);
    const response = responseOn(request, socket);
    this.#response = response;
    response.sendDate = !head.hasDate;
    response.writeHead(status, head.headers);
    // node:http tells a response nothing of a socket that it has handed over.
    socket.on('drain', () => controller.resume());
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#response?.write(chunk) === false) controller.pause();
  }

  onResponseEnd(controller: Controller): void {
    this.#isOver = true;
    const raw = controller.rawTrailers;
    if (raw !== null && raw.length > 0 && this.#response?.chunkedEncoding === true) this.#response.addTrailers(readTrailers(raw));
    this.#response?.end();
    this.#leave();
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#isOver) return;
    if (this.#hasTimedOut) return this.#fail(pages.timeout);
    if (this.#response !== undefined || this.#controller !== undefined) return this.#fail(pages.gone);
    this.#isOver = true;
    this.#leave();
    if (!this.#parts.socket.destroyed) this.#attempt.onUnsent(error);
  }

  #fail(page: Page): void {
    this.#isOver = true;
    const { socket } = this.#parts;
    this.#leave();
    if (socket.destroyed) return;
    // A response that has begun cannot be taken back: the client must see that it is incomplete.
    if (this.#response !== undefined) socket.resetAndDestroy();
    else answer(this.#parts, page);
  }

  #leave(): void {
    this.#scope.waiting.delete(this);
    this.#parts.socket.off('close', this.#onClientGone);
    this.#attempt.leave();
  }
}
