/**
 * `forge proxy`: the process that owns the public ports. Serves from its copy of the routes at once, and from what the
 * control plane sends as soon as it does; needs the control plane for nothing else.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../log.ts';
import { createLog } from '../log.ts';
import { delay, withDeadline } from '../wait.ts';
import { listenControls } from './control-socket.ts';
import { createDataPlane } from './data-plane.ts';
import type { ProxyOptions } from './options.ts';
import type { Plane } from './plane.ts';
import { socketName, type ProxyAddresses } from './protocol.ts';
import { loadRoutes, saveRoutes } from './route-copy.ts';
import { startWorkers } from './workers.ts';
import type { RouteTable } from '../domain.ts';

export interface RunningProxy {
  readonly addresses: ProxyAddresses;
  /** Stops accepting, lets what is in flight end (at most `closeTimeoutMs`), then cuts it off. */
  close(): Promise<void>;
}

const closeTimeoutMs = 10_000;

/** Where the proxy of a state directory takes its tables. */
export const controlSocketOf = (stateDir: string): string => join(stateDir, socketName);

/** Resolves when it serves. Throws `conflict` for a port in use or a second proxy on the same state directory. */
export async function runProxy(options: ProxyOptions): Promise<RunningProxy> {
  const log = createLog(options.logLevel, 'proxy');
  const saved = await loadRoutes(options.stateDir, log);
  const count = options.workers > 0 ? options.workers : Math.max(1, availableParallelism() - 1);
  const plane = count === 1 ? await serveHere(options, saved, log) : await startWorkers(options, { count, saved, log });
  const addresses = { http: plane.port };
  const copy = keepCopy(options.stateDir, log);
  try {
    const socket = await listenControls(controlSocketOf(options.stateDir), {
      async apply(table) {
        await plane.apply(table);
        await copy.save(table);
      },
      drain: (request, signal) => plane.drain(request, signal),
      addresses: () => addresses,
    }, log);
    log.info({ ...addresses, workers: count, table: saved?.version }, 'the proxy serves');
    return {
      addresses,
      async close() {
        await socket.close();
        await plane.close();
        await copy.settled();
      },
    };
  } catch (error) {
    await plane.close();
    throw error;
  }
}

/** How long an acknowledgement waits for the disk: under a build that floods it, an fsync can take many seconds. */
const saveWaitMs = 1000;

/**
 * Saves one table after the other, skipping those that a newer one has overtaken. A disk that fails or is slow never
 * holds back a swap: the copy matters only when the control plane is down, and a later table brings it up to date.
 */
function keepCopy(stateDir: string, log: Log): { save(table: RouteTable): Promise<void>; settled(): Promise<void> } {
  let newest: RouteTable | undefined;
  let saving = Promise.resolve();
  const saveNewest = async (): Promise<void> => {
    const table = newest;
    newest = undefined;
    if (table === undefined) return;
    await saveRoutes(stateDir, table).catch((error: unknown) => log.error({ err: error }, 'the routes could not be saved'));
  };
  return {
    async save(table) {
      newest = table;
      saving = saving.then(saveNewest);
      const waited = new AbortController();
      await Promise.race([saving, delay(saveWaitMs, waited.signal).catch(() => undefined)]);
      waited.abort();
    },
    settled: () => saving,
  };
}

async function serveHere(options: ProxyOptions, saved: RouteTable | undefined, log: Log): Promise<Plane> {
  const plane = createDataPlane(options, log);
  if (saved !== undefined) plane.apply(saved);
  const port = await plane.listen();
  return {
    port,
    apply: async (table) => plane.apply(table),
    drain: (request, signal) => plane.drain(request, signal),
    async close() {
      using deadline = withDeadline(closeTimeoutMs, 'closing the proxy took too long');
      await plane.close(deadline);
    },
  };
}
