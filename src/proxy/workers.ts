/** Several worker processes behind one port: the first process keeps the tables and hands each worker every one of them. */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RouteTable } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { delay, untilAborted, withTimeout } from '../wait.ts';
import type { Plane } from './plane.ts';
import type { ProxyOptions } from './options.ts';
import type { DrainRequest } from './targets.ts';

/** From the first process to a worker; `id` comes back in the answer. */
export type WorkerOrder =
  | { readonly id: number; readonly kind: 'start'; readonly options: ProxyOptions; readonly table: RouteTable | undefined }
  | { readonly id: number; readonly kind: 'apply'; readonly table: RouteTable }
  | { readonly id: number; readonly kind: 'drain'; readonly request: DrainRequest }
  | { readonly id: number; readonly kind: 'close' };

export interface WorkerReply {
  readonly id: number;
  readonly port?: number;
  /** Message of the failure. */
  readonly failure?: string;
}

const orderTimeoutMs = 15_000;
const restartDelayMs = 200;
const longestRestartDelayMs = 5_000;

type Body<T> = T extends { readonly id: number } ? Omit<T, 'id'> : never;

/** Starts the workers; resolves when all of them serve. A worker that dies is replaced. */
export async function startWorkers(
  options: ProxyOptions,
  { count, saved, log }: { readonly count: number; readonly saved: RouteTable | undefined; readonly log: Log },
): Promise<Plane> {
  cluster.setupPrimary({ exec: fileURLToPath(import.meta.resolve(workerFile)), args: [], serialization: 'json' });
  const closed = new AbortController();
  const workers = new Set<Worker>();
  let table = saved;
  let nextId = 1;

  const ask = (worker: Worker, body: Body<WorkerOrder>, timeoutMs = orderTimeoutMs): Promise<WorkerReply> =>
    withTimeout(timeoutMs, `a worker of the proxy did not answer within ${timeoutMs} ms`, (signal) => order(worker, { id: nextId++, ...body } as WorkerOrder, signal));

  // Every worker asks for the same port, 0 included: the first process opens it once and shares it.
  const start = async (): Promise<number> => {
    const worker = forkWorker(log, (code, signal) => {
      if (!workers.delete(worker) || closed.signal.aborted) return;
      log.error({ code, signal }, 'a worker of the proxy died; starting another');
      void untilStarted(start, { log, signal: closed.signal });
    });
    const sent = table;
    try {
      const { port } = await ask(worker, { kind: 'start', options, table: sent });
      workers.add(worker);
      // One that does not take it is replaced like one that died.
      if (table !== undefined && table !== sent) await ask(worker, { kind: 'apply', table }).catch(() => worker.process.kill('SIGKILL'));
      return port ?? options.http;
    } catch (error) {
      worker.process.kill('SIGKILL');
      throw error;
    }
  };
  /** All workers; one that dies meanwhile has nothing left to do, and its successor starts from the newest table. */
  const askAll = async (body: Body<WorkerOrder>, timeoutMs?: number): Promise<void> => {
    await Promise.all([...workers].map((worker) => ask(worker, body, timeoutMs).catch((error: unknown) => {
      if (workers.has(worker) && !worker.isDead()) throw error;
    })));
  };

  const ports = await Promise.all(Array.from({ length: count }, start)).catch((error: unknown) => {
    closed.abort();
    killAll();
    throw error;
  });
  return {
    port: ports[0] ?? options.http,
    async apply(next) {
      table = next;
      await askAll({ kind: 'apply', table: next });
    },
    drain: (request, signal) => untilAborted(askAll({ kind: 'drain', request }, request.timeoutMs + orderTimeoutMs), signal),
    async close() {
      closed.abort();
      const exits = [...workers].map((worker) => once(worker, 'exit'));
      await askAll({ kind: 'close' }).catch(() => undefined);
      killAll();
      await Promise.all(exits);
    },
  };
}

function killAll(): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
}

function forkWorker(log: Log, onExit: (code: number, signal: string) => void): Worker {
  const worker = cluster.fork();
  worker.once('exit', onExit);
  // What is sent to one that has just died: its exit tells the same.
  worker.on('error', (error) => log.debug({ err: error }, 'a worker of the proxy could not be spoken to'));
  return worker;
}

/** Tries again until one serves: a machine that is short of memory may kill the next one too. */
async function untilStarted(start: () => Promise<unknown>, { log, signal }: { readonly log: Log; readonly signal: AbortSignal }): Promise<void> {
  for (let pauseMs = restartDelayMs; ; pauseMs = Math.min(pauseMs * 2, longestRestartDelayMs)) {
    await delay(pauseMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await start();
      return;
    } catch (error) {
      log.error({ err: error }, 'no worker of the proxy in its place yet');
    }
  }
}

/** Beside this file, as source or compiled. */
const workerFile = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';

async function order(worker: Worker, message: WorkerOrder, signal: AbortSignal): Promise<WorkerReply> {
  const { promise, resolve, reject } = Promise.withResolvers<WorkerReply>();
  const onMessage = (reply: WorkerReply): void => {
    if (reply.id === message.id) resolve(reply);
  };
  const onExit = (): void => reject(new ForgeError('unavailable', 'a worker of the proxy ended'));
  worker.on('message', onMessage);
  worker.on('exit', onExit);
  try {
    worker.send(message);
    const reply = await untilAborted(promise, signal);
    if (reply.failure !== undefined) throw new ForgeError('failed', reply.failure);
    return reply;
  } finally {
    worker.off('message', onMessage);
    worker.off('exit', onExit);
  }
}
