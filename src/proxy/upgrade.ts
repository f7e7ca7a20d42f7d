/** Requests that ask for another protocol (WebSocket and the like): one request to the app, then a tunnel. */
import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import type { ExchangeScope } from './exchange.ts';
import type { Head } from './head.ts';
import { pages, sendPage } from './pages.ts';
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
  readonly targets: readonly Target[];
}

/** Asks a target for the upgrade. Any answer but 101 reaches the client as an ordinary response, then the connection closes. */
export function startUpgrade(scope: ExchangeScope, parts: UpgradeParts, turn: number): void {
  attempt(scope, parts, { tried: [], turn });
}

function attempt(scope: ExchangeScope, parts: UpgradeParts, state: { readonly tried: readonly Target[]; readonly turn: number }): void {
  const { request, socket, head } = parts;
  const target = chooseTarget(parts.targets, state.tried, state.turn);
  if (target === undefined) {
    sendPage(responseOn(request, socket), pages.gone, { id: head.requestId, accept: request.headers.accept, close: true });
    return;
  }
  target.claim();
  const connection = target.take(true);
  const leave = (): void => {
    target.discard(connection);
    target.release();
  };
  const handler = new UpgradeHandler(parts, { target, connection, leave, onUnsent: (error) => {
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
  response.on('finish', () => socket.end());
  return response;
}

interface Attempt {
  readonly target: Target;
  readonly connection: Connection;
  readonly leave: () => void;
  readonly onUnsent: (error: Error) => void;
}

class UpgradeHandler implements DispatchHandler {
  readonly #parts: UpgradeParts;
  readonly #attempt: Attempt;
  #controller: Controller | undefined;
  #response: ServerResponse | undefined;
  #isOver = false;
  readonly #onClientGone = (): void => {
    this.#controller?.abort(new Error('the client left'));
  };

  constructor(parts: UpgradeParts, current: Attempt) {
    this.#parts = parts;
    this.#attempt = current;
    parts.socket.on('close', this.#onClientGone);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#parts.socket.destroyed) controller.abort(new Error('the client left'));
  }

  onRequestUpgrade(_controller: unknown, status: number, raw: ParsedHeaders, app: Duplex): void {
    this.#isOver = true;
    const { socket, rest, head } = this.#parts;
    const { target, leave } = this.#attempt;
    socket.off('close', this.#onClientGone);
    const { headers } = readResponseHead(raw, status);
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Switching Protocols'}\r\nConnection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`;
    for (let index = 0; index < headers.length; index += 2) text += `${headers[index]}: ${headers[index + 1]}\r\n`;
    socket.write(`${text}\r\n`, 'latin1');
    if (rest.length > 0) socket.unshift(rest);
    const tunnel = openTunnel(socket, app, { isWebSocket: head.upgrade.toLowerCase() === 'websocket', onEnd: () => target.removeTunnel(tunnel) });
    target.addTunnel(tunnel);
    leave();
  }

  onResponseStart(controller: Controller, status: number, raw: ParsedHeaders): void {
    if (status < 200) return;
    const { request, socket } = this.#parts;
    const head = readResponseHead(raw, status);
    const response = responseOn(request, socket);
    this.#response = response;
    response.sendDate = !head.hasDate;
    response.writeHead(status, head.headers);
    response.on('drain', () => controller.resume());
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
    this.#isOver = true;
    const { request, socket, head } = this.#parts;
    this.#leave();
    if (socket.destroyed) return;
    if (this.#response !== undefined) socket.resetAndDestroy();
    else if (this.#controller === undefined) this.#attempt.onUnsent(error);
    else sendPage(responseOn(request, socket), pages.gone, { id: head.requestId, accept: request.headers.accept, close: true });
  }

  #leave(): void {
    this.#parts.socket.off('close', this.#onClientGone);
    this.#attempt.leave();
  }
}
