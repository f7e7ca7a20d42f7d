/**
 * One request on its way to a target and its response on the way back. Callbacks only, no promises and no pipeline:
 * this runs for every request. Nothing is buffered beyond what the sockets hold; each side waits for the other.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../log.ts';
import type { Head } from './head.ts';
import { pages, sendPage, refusalPage, type Page } from './pages.ts';
import { RequestBody } from './request-body.ts';
import type { WaitingList, Waiter } from './waiting-list.ts';
import { readResponseHead, readTrailers, type ParsedHeaders } from './response-head.ts';
import type { RouterEntry } from './router.ts';
import { chooseTarget, type Connection, type Target } from './target.ts';
import type { Controller, DispatchHandler } from './undici-client.ts';

/** What all exchanges of a proxy share. */
export interface ExchangeScope {
  readonly log: Log;
  /** What waits for a response head. */
  readonly waiting: WaitingList<HeadWaiter>;
  /** Responses whose head was written in this turn of the event loop; one immediate flushes them all. */
  readonly unflushed: ServerResponse[];
  /** Milliseconds, moved on a few times a second: exact enough for deadlines of seconds. */
  readonly clock: { nowMs: number };
  /** The entry as of now; a retry must not go by a table that has been replaced meanwhile. */
  readonly find: (host: string) => RouterEntry<Target> | undefined;
  /** Whether any table has come yet. */
  readonly hasTable: () => boolean;
  /** A client's connection is a tunnel from here on. */
  readonly onTunnel: (socket: Socket) => void;
}

/** A request whose app must answer within the response timeout. */
export interface HeadWaiter extends Waiter {
  /** When it began to wait for the app, by the scope's clock. */
  readonly waitsSince: number;
  /** The app has not answered in time. */
  onHeadTimeout(): void;
}

/** Bodies up to this size that come whole are sent together with the head, in one write. */
const joinedBytes = 16 * 1024;
const maxAttempts = 4;

export class Exchange implements DispatchHandler, HeadWaiter {
  place = -1;
  /** When it began to wait for the app, by the scope's clock: for the deadline on response heads. */
  waitsSince = 0;
  readonly #scope: ExchangeScope;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #head: Head;
  readonly #entry: RouterEntry<Target>;
  readonly #body: RequestBody | null;
  #target: Target | undefined;
  #connection: Connection | undefined;
  #controller: Controller | undefined;
  #tried: Target[] = [];
  #attempts = 0;
  #wasReused = false;
  #isOver = false;
  #hasTimedOut = false;
  /** Bytes of the declared length still to come; -1 when the length is unknown. */
  #left = -1;
  #waitsForDrain = false;

  constructor(scope: ExchangeScope, parts: { request: IncomingMessage; response: ServerResponse; head: Head; entry: RouterEntry<Target> }) {
    this.#scope = scope;
    this.#request = parts.request;
    this.#response = parts.response;
    this.#head = parts.head;
    this.#entry = parts.entry;
    this.#body = parts.head.hasBody ? new RequestBody(parts.request) : null;
  }

  /** Claims a target in this very turn and sends the request. */
  start(turn: number): void {
    const target = chooseTarget(this.#entry.targets, this.#tried, turn);
    if (target === undefined) {
      this.#end(this.#entry.app === undefined ? pages.noControl : pages.gone);
      return;
    }
    this.#response.on('close', () => this.#onClientClose());
    // A response that waits behind a pipelined one hears nothing of its connection.
    if (this.#response.socket === null) this.#request.on('aborted', () => this.#onClientClose());
    target.claim();
    this.#target = target;
    this.#send(false);
  }

  /** The app has not answered in time. A client that is still sending gets more of it. */
  onHeadTimeout(): void {
    this.waitsSince = this.#scope.clock.nowMs;
    if (!this.#request.complete) {
      this.#scope.waiting.add(this);
      return;
    }
    this.#hasTimedOut = true;
    if (this.#controller) this.#controller.abort(new Error('response head timeout'));
    else this.#finishEarly();
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new Error('the client left'));
  }

  onResponseStart(_controller: unknown, status: number, raw: ParsedHeaders, statusText?: string): void {
    // 1xx other than 101 is advice between the app and forge.
    if (status < 200) return;
    this.#scope.waiting.delete(this);
    if (this.#isOver) return;
    const head = readResponseHead(raw, status);
    const response = this.#response;
    response.sendDate = !head.hasDate;
    this.#left = this.#request.method === 'HEAD' ? -1 : head.length;
    if (statusText) response.writeHead(status, statusText, head.headers);
    else response.writeHead(status, head.headers);
    // A body that came with the head leaves with it; otherwise the head must not wait for the body.
    flushSoon(this.#scope.unflushed, response);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#isOver) return;
    const response = this.#response;
    if (this.#left === chunk.length) {
      this.#left = 0;
      // As a string a small body leaves in one write with its head; a buffer would take a second one.
      if (chunk.length <= joinedBytes) response.end(chunk.toString('latin1'), 'latin1');
      else response.end(chunk);
      return;
    }
    if (this.#left > 0) this.#left -= chunk.length;
    if (response.write(chunk)) return;
    controller.pause();
    if (this.#waitsForDrain) return;
    this.#waitsForDrain = true;
    response.on('drain', () => controller.resume());
  }

  onResponseEnd(controller: Controller): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const response = this.#response;
    if (!response.writableEnded) {
      const raw = controller.rawTrailers;
      if (raw !== null && raw.length > 0 && response.chunkedEncoding) response.addTrailers(readTrailers(raw));
      response.end();
    }
    this.#leaveTarget(true);
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#isOver) return;
    this.#scope.waiting.delete(this);
    if (!this.#response.headersSent && this.#tryAgain(error)) return;
    this.#isOver = true;
    this.#leaveTarget(false);
    const { app } = this.#entry;
    const code = (error as NodeJS.ErrnoException).code ?? error.message;
    this.#scope.log.warn({ app, target: this.#tried.at(-1)?.id, requestId: this.#head.requestId, method: this.#request.method, code }, 'no response from the app');
    if (code === 'UND_ERR_INVALID_ARG') this.#end(refusalPage(400, 'The request has a character where it may not stand.'));
    else if (this.#hasTimedOut) this.#end(pages.timeout);
    else this.#end(app === undefined ? pages.noControl : pages.gone);
  }

  #send(isFresh: boolean): void {
    const target = this.#target as Target;
    const connection = target.take(isFresh);
    this.#connection = connection;
    this.#controller = undefined;
    this.#attempts += 1;
    this.#wasReused = connection.served > 0;
    this.waitsSince = this.#scope.clock.nowMs;
    this.#scope.waiting.add(this);
    connection.client.dispatch(
      // `reset: false` keeps the connection after HEAD and after a DELETE with a body.
      { path: this.#head.path, method: this.#request.method as 'GET', headers: this.#head.headers, body: this.#body, reset: false },
      this,
    );
  }

  /** A second chance where the app cannot have begun to work on the request. */
  #tryAgain(error: Error): boolean {
    if (this.#hasTimedOut || this.#attempts >= maxAttempts || this.#body?.isStarted === true) return false;
    if ((error as NodeJS.ErrnoException).code === 'UND_ERR_INVALID_ARG') return false;
    const target = this.#target as Target;
    const isUnsent = this.#controller === undefined;
    // The app closed a kept-alive connection between two requests.
    const isStale = !isUnsent && this.#wasReused && this.#body === null && isIdempotent(this.#request.method);
    if (!isUnsent && !isStale) return false;
    if (isStale && !target.isRetired) {
      if (this.#connection) target.discard(this.#connection);
      this.#send(true);
      return true;
    }
    const targets = this.#scope.find(this.#head.host)?.targets ?? [];
    const next = chooseTarget(targets, [...this.#tried, target], this.#attempts);
    if (next === undefined) return false;
    this.#leaveTarget(false);
    next.claim();
    this.#target = next;
    this.#send(false);
    return true;
  }

  #onClientClose(): void {
    if (this.#isOver) return;
    // A response that was handed over whole is the app's success, although its last callback has not come yet.
    if (this.#response.writableFinished && this.#left === 0) return;
    this.#scope.waiting.delete(this);
    if (this.#controller) {
      const controller = this.#controller;
      this.#isOver = true;
      controller.abort(new Error('the client left'));
      this.#leaveTarget(false);
    } else this.#finishEarly();
  }

  /** Ends an exchange whose request has not left: the connection is still being made. */
  #finishEarly(): void {
    this.#isOver = true;
    this.#leaveTarget(false);
    this.#end(this.#hasTimedOut ? pages.timeout : pages.gone);
  }

  #end(page: Page): void {
    this.#isOver = true;
    const response = this.#response;
    if (response.destroyed) return;
    // A response that has begun cannot be taken back: the client must see that it is incomplete.
    if (response.headersSent) response.socket?.resetAndDestroy();
    else sendPage(response, page, { id: this.#head.requestId, accept: this.#request.headers.accept });
  }

  #leaveTarget(isReusable: boolean): void {
    const target = this.#target;
    const connection = this.#connection;
    this.#target = undefined;
    this.#connection = undefined;
    if (target === undefined) return;
    this.#tried.push(target);
    if (connection !== undefined) {
      if (isReusable) target.giveBack(connection);
      else target.discard(connection);
    }
    target.release();
  }
}

function flushSoon(unflushed: ServerResponse[], response: ServerResponse): void {
  if (unflushed.push(response) === 1) setImmediate(flushHeads, unflushed);
}

function flushHeads(unflushed: ServerResponse[]): void {
  for (const response of unflushed) if (!response.writableEnded && !response.destroyed) response.flushHeaders();
  unflushed.length = 0;
}

const isIdempotent = (method: string | undefined): boolean => method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
