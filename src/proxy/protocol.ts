/** What the control plane and the proxy say to each other over the proxy's unix socket: one JSON object a line. */
import type { Readable } from 'node:stream';
import type { RouteTable } from '../domain.ts';
import { ForgeError, type ErrorCode } from '../errors.ts';
import type { DrainRequest } from './targets.ts';

/** Each request has a number of its sender's; the answer carries the same. */
export type ProxyRequest =
  | { readonly id: number; readonly kind: 'apply'; readonly table: RouteTable }
  | ({ readonly id: number; readonly kind: 'drain' } & DrainRequest)
  | { readonly id: number; readonly kind: 'addresses' };

export type ProxyAnswer =
  | { readonly id: number; readonly isOk: true; readonly addresses?: ProxyAddresses }
  | { readonly id: number; readonly isOk: false; readonly code: ErrorCode; readonly message: string };

export interface ProxyAddresses {
  readonly http: number;
}

/** Far above a table of thousands of apps; a sender of more is not one of ours. */
const maxLineBytes = 64 * 1024 * 1024;

export const socketName = 'proxy.sock';

export const encodeLine = (message: ProxyRequest | ProxyAnswer): string => `${JSON.stringify(message)}\n`;

/** The lines of a stream, parsed. Ends with the stream; throws `invalid` on what is no JSON line. */
export async function* readLines<T>(stream: Readable): AsyncGenerator<T> {
  let parts: string[] = [];
  let size = 0;
  stream.setEncoding('utf8');
  for await (const chunk of stream as AsyncIterable<string>) {
    const pieces = chunk.split('\n');
    const last = pieces.pop() ?? '';
    for (const piece of pieces) {
      const line = parts.length === 0 ? piece : parts.join('') + piece;
      parts = [];
      size = 0;
      if (line !== '') yield parseLine<T>(line);
    }
    if (last === '') continue;
    parts.push(last);
    size += last.length;
    if (size > maxLineBytes) throw new ForgeError('invalid', `proxy socket: a line of more than ${maxLineBytes} bytes`);
  }
}

function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch (error) {
    throw new ForgeError('invalid', `proxy socket: not a JSON line: ${JSON.stringify(line.slice(0, 80))}`, { cause: error });
  }
}
