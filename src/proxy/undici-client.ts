/**
 * The door to undici: its HTTP/1.1 client for one connection, without fetch, WebSocket and the rest of the package,
 * which would cost the proxy 5 MB more of memory. The version is pinned exactly, so the path inside it is stable.
 */
import { createRequire } from 'node:module';
import type { Client as UndiciClient, Dispatcher } from 'undici';

const require = createRequire(import.meta.url);

export const Client = require('undici/lib/dispatcher/client.js') as typeof UndiciClient;
export type Client = UndiciClient;

export type DispatchHandler = Dispatcher.DispatchHandler;

/** What undici hands to a handler besides the public type: trailers as the app wrote them. */
export type Controller = Dispatcher.DispatchController & {
  readonly rawTrailers: readonly Buffer[] | null;
};
