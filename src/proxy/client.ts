/** The control plane's end of the proxy's socket. Needs nothing of the data plane, so that importing it costs nothing. */
import { createConnection, type Socket } from 'node:net';
import { once } from 'node:events';
import type { RouteTable } from '../domain.ts';
import { abortError, ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { delay, untilAborted, withDeadline } from '../wait.ts';
import { encodeLine, readLines, type ProxyAddresses, type ProxyAnswer, type ProxyRequest } from './protocol.ts';
import type { DrainRequest } from './targets.ts';

export interface ProxyClient {
  /**
   * Resolves when every worker of the proxy serves from this table. A table that a newer one
   * overtakes counts as applied with the newer one. Throws `unavailable` when the proxy cannot be reached in time;
   * the table is still sent once it can.
   */
  apply(table: RouteTable, signal: AbortSignal): Promise<void>;
  /** Resolves when these targets, already left out of the table, have nothing in flight; at the deadline the rest is cut off. */
  drained(targetIds: readonly string[], options: Omit<DrainRequest, 'targetIds'> & { readonly signal: AbortSignal }): Promise<void>;
  /** Where the proxy listens. */
  addresses(): Promise<ProxyAddresses>;
  /** Ends the connection; what is under way fails with `canceled`. */
  close(): Promise<void>;
}

const answerTimeoutMs = 10_000;
const drainSlackMs = 5000;
const [firstRetryMs, longestRetryMs] = [50, 1000];

type Body<T> = T extends { readonly id: number } ? Omit<T, 'id'> : never;

/** Connects, and keeps connecting: after every reconnect the newest table is sent first. */
export function connectProxy({ socketPath, log }: { readonly socketPath: string; readonly log: Log }): ProxyClient {
  const closed = new AbortController();
  let newest: RouteTable | undefined;
  const line = createLine(() => (newest === undefined ? undefined : { kind: 'apply', table: newest }));
  const running = stayConnected(socketPath, closed.signal, { log, onSocket: line.serve });

  const ask = async (body: () => Body<ProxyRequest>, timeoutMs: number, parent: AbortSignal): Promise<ProxyAnswer> => {
    const unanswered = `the proxy did not answer on ${socketPath} within ${timeoutMs} ms`;
    using deadline = withDeadline(timeoutMs, unanswered, AbortSignal.any([parent, closed.signal]));
    try {
      return await line.request(body, deadline);
    } catch (error) {
      if (parent.aborted) throw abortError(parent);
      if (!deadline.aborted || closed.signal.aborted) throw error;
      throw new ForgeError('unavailable', unanswered, { hint: 'is it running? systemctl status forge-proxy', cause: error });
    }
  };

  return {
    async apply(table, signal) {
      if (newest === undefined || table.version >= newest.version) newest = table;
      await ask(() => ({ kind: 'apply', table: newest ?? table }), answerTimeoutMs, signal);
    },
    async drained(targetIds, { signal, timeoutMs, webSocketGraceMs }) {
      await ask(() => ({ kind: 'drain', targetIds, timeoutMs, webSocketGraceMs }), timeoutMs + drainSlackMs, signal);
    },
    async addresses() {
      const answer = await ask(() => ({ kind: 'addresses' }), answerTimeoutMs, closed.signal);
      if (!answer.isOk || answer.addresses === undefined) throw new ForgeError('internal', 'the proxy did not say where it listens');
      return answer.addresses;
    },
    async close() {
      closed.abort(new ForgeError('canceled', 'the connection to the proxy was closed'));
      await running;
    },
  };
}

const connectionLost = new Error('connection to the proxy lost');

interface Line {
  /** Speaks over this socket until it ends. */
  readonly serve: (socket: Socket) => Promise<void>;
  /** Sends until it is answered: a connection lost on the way starts it over, with `body` asked anew. */
  request(body: () => Body<ProxyRequest>, signal: AbortSignal): Promise<ProxyAnswer>;
}

/** Requests and answers over whichever socket there is; `greeting` is sent first on each. */
function createLine(greeting: () => Body<ProxyRequest> | undefined): Line {
  const pending = new Map<number, { resolve(answer: ProxyAnswer): void; reject(error: unknown): void }>();
  let socket: Socket | undefined;
  let nextId = 1;
  let onConnected = Promise.withResolvers<void>();
  const write = (id: number, body: Body<ProxyRequest>): void => {
    socket?.write(encodeLine({ id, ...body } as ProxyRequest));
  };
  const send = async (body: Body<ProxyRequest>, signal: AbortSignal): Promise<ProxyAnswer> => {
    const id = nextId++;
    const answered = Promise.withResolvers<ProxyAnswer>();
    pending.set(id, answered);
    try {
      write(id, body);
      return await untilAborted(answered.promise, signal);
    } finally {
      pending.delete(id);
    }
  };
  return {
    async serve(connected) {
      socket = connected;
      const first = greeting();
      if (first !== undefined) write(nextId++, first);
      onConnected.resolve();
      try {
        for await (const answer of readLines<ProxyAnswer>(connected)) pending.get(answer.id)?.resolve(answer);
      } finally {
        socket = undefined;
        onConnected = Promise.withResolvers<void>();
        for (const waiting of pending.values()) waiting.reject(connectionLost);
      }
    },
    async request(body, signal) {
      for (;;) {
        if (socket === undefined) await untilAborted(onConnected.promise, signal);
        try {
          const answer = await send(body(), signal);
          if (answer.isOk) return answer;
          throw new ForgeError(answer.code, `the proxy refused: ${answer.message}`);
        } catch (error) {
          if (error !== connectionLost) throw error;
        }
      }
    },
  };
}

/** One connection after another until the signal aborts. */
async function stayConnected(
  socketPath: string,
  signal: AbortSignal,
  { log, onSocket }: { readonly log: Log; readonly onSocket: (socket: Socket) => Promise<void> },
): Promise<void> {
  let retryMs = firstRetryMs;
  while (!signal.aborted) {
    const socket = createConnection(socketPath);
    const end = (): void => void socket.destroy();
    signal.addEventListener('abort', end, { once: true });
    socket.on('error', () => undefined);
    try {
      await once(socket, 'connect', { signal });
      retryMs = firstRetryMs;
      await onSocket(socket);
      if (!signal.aborted) log.warn({ socketPath }, 'the proxy closed the connection; connecting again');
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error, socketPath }, 'the proxy cannot be reached');
    } finally {
      signal.removeEventListener('abort', end);
      socket.destroy();
    }
    await delay(retryMs, signal).catch(() => undefined);
    retryMs = Math.min(retryMs * 2, longestRetryMs);
  }
}
