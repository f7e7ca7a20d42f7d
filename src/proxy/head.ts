/**
 * Reads a request's head in one pass: refuses what two servers could understand differently, drops what belongs to
 * one connection only, and puts forge's own X-Forwarded-… in place of whatever the client claimed.
 * node:http has already refused broken syntax (CL with TE, two CLs, obs-fold, bare LF); this is what it lets through.
 */
import type { IncomingMessage } from 'node:http';
import { hostName, hostPort } from './router.ts';

export interface Head {
  /** Names and values for the app, alternating, in the client's order and spelling, then forge's own. */
  readonly headers: string[];
  /** The Host header as sent. */
  readonly host: string;
  /** Origin form: begins with `/`. */
  readonly path: string;
  /** Whether a body follows (a length above zero, or chunks). */
  readonly hasBody: boolean;
  /** Value of Upgrade; '' without one. */
  readonly upgrade: string;
  readonly requestId: string;
}

/** Why a request is refused; shown to the client, so it says nothing about the machine. */
export interface Refusal {
  readonly status: 400 | 405 | 417;
  readonly reason: string;
}

const refuse = (reason: string, status: Refusal['status'] = 400): Refusal => ({ status, reason });

const twoHosts = refuse('The request has more than one Host header.');
const noHost = refuse('The request has no Host header.');
const badHost = refuse('The Host header is not a host name.');
const badCoding = refuse('Transfer-Encoding may only be "chunked".');
const twoLengths = refuse('The request has more than one length.');
const badTarget = refuse('The request target must be a path, or a URL of the same host as the Host header.');
const badMethod = refuse('This method is not allowed.', 405);

/** Headers that are never handed on as they are. Spelled with `_` they are dropped too: CGI-style apps read both alike. */
const special = new Set([
  'host', 'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'content-length', 'te', 'trailer', 'upgrade',
  'expect', 'forwarded', 'proxy', 'proxy-authorization', 'x-real-ip', 'x-request-id', 'http2-settings',
]);
const specialLengths: boolean[] = [];
for (const name of special) specialLengths[name.length] = true;

/** What a Connection header may not take away. */
const endToEnd = new Set(['host', 'content-length', 'transfer-encoding', 'cookie', 'authorization', 'content-type']);

/** The head to hand on, or why the request is refused. `address` is the peer's, `requestId` forge's own. */
export function readHead(request: IncomingMessage, address: string, requestId: string): Head | Refusal {
  const raw = request.rawHeaders;
  const headers: string[] = ['host', ''];
  let host: string | undefined;
  let connection = '';
  let coding: string | undefined;
  let length: string | undefined;
  let upgrade = '';
  let te = '';
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    const value = raw[index + 1] as string;
    const kind = kindOf(name);
    switch (kind) {
      case '':
        headers.push(name, value);
        break;
      case 'host':
        if (host !== undefined) return twoHosts;
        host = value;
        break;
      case 'connection':
        connection = connection === '' ? value : `${connection},${value}`;
        break;
      case 'transfer-encoding':
        if (coding !== undefined || value.toLowerCase() !== 'chunked') return badCoding;
        coding = value;
        break;
      case 'content-length':
        if (length !== undefined) return twoLengths;
        length = value;
        headers.push(name, value);
        break;
      case 'upgrade':
        upgrade = upgrade === '' ? value : `${upgrade},${value}`;
        break;
      case 'te':
        te = value;
        break;
    }
  }
  if (host === undefined) return noHost;
  if (coding !== undefined && (length !== undefined || request.httpVersionMinor === 0)) return twoLengths;
  if (request.method === 'TRACE' || request.method === 'CONNECT') return badMethod;
  const path = pathOf(request.url as string, host);
  if (path === undefined) return badTarget;
  if (connection !== '' && !isPlainConnection(connection)) dropNamed(headers, connection);
  headers[1] = host;
  if (te !== '' && /(^|[,\s])trailers([,\s;]|$)/i.test(te)) headers.push('te', 'trailers');
  headers.push('x-forwarded-for', address, 'x-forwarded-proto', 'http', 'x-forwarded-host', host, 'x-forwarded-port', hostPort(host), 'x-request-id', requestId);
  return { headers, host, path, hasBody: coding !== undefined || (length !== undefined && Number(length) > 0), upgrade, requestId };
}

/** Whether a refused Host is malformed rather than unknown: then the answer is 400, not 404. */
export const hostRefusal = (host: string): Refusal | undefined => (hostName(host) === undefined ? badHost : undefined);

/** The lower-case name when the header is treated specially, 'dropped' when it goes in any case, '' when it is handed on. */
function kindOf(name: string): string {
  const first = name.charCodeAt(0) | 0x20;
  if (first === 0x78 && name.length > 12 && isForwarded(name)) return 'dropped';
  if (specialLengths[name.length] !== true) return '';
  const lower = name.toLowerCase();
  if (special.has(lower)) return lower;
  return lower.includes('_') && special.has(lower.replaceAll('_', '-')) ? 'dropped' : '';
}

const isForwarded = (name: string): boolean => name.slice(0, 12).toLowerCase().replaceAll('_', '-') === 'x-forwarded-';

/** The everyday values, that name no header. */
const isPlainConnection = (value: string): boolean => value === 'keep-alive' || value === 'Keep-Alive' || value === 'close' || value === 'Upgrade';

/** Removes the headers that Connection names: they are meant for the next hop only (RFC 9110, 7.6.1). */
function dropNamed(headers: string[], connection: string): void {
  const named = new Set(connection.toLowerCase().split(',').map((token) => token.trim()));
  for (let index = headers.length - 2; index > 0; index -= 2) {
    const name = (headers[index] as string).toLowerCase();
    if (named.has(name) && !endToEnd.has(name)) headers.splice(index, 2);
  }
}

/** Origin form of the request target; `undefined` for any other form than a path or a URL of this very host. */
function pathOf(url: string, host: string): string | undefined {
  if (url.charCodeAt(0) === 0x2f) return url;
  const match = /^http:\/\/([^/?#]*)(.*)$/i.exec(url);
  if (match === null || match[1]?.toLowerCase() !== host.toLowerCase()) return undefined;
  const rest = match[2] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}
