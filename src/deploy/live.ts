/** What serves right now: instances per app in memory, one route table in the proxy. Swapping is one assignment and one table. */
import type { Instance, RouteTable } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Faults } from '../faults.ts';
import type { Log } from '../log.ts';
import type { ProxyClient } from '../proxy/client.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { untilAborted, withTimeout } from '../wait.ts';
import { routeTable, targetId } from './route-table.ts';

export interface RetireOptions {
  /** How long requests in flight may go on. */
  readonly drainTimeoutMs: number;
  /** How long WebSockets go on before they get a close frame. */
  readonly webSocketGraceMs: number;
  /** Time between SIGTERM and SIGKILL. */
  readonly stopTimeoutMs: number;
  /** Once it aborts, those whose requests have not ended are left running; who asked has to look which these are. */
  readonly signal?: AbortSignal;
}

export interface Live {
  /** Instances that serve the app; empty when nothing does. */
  servingOf(app: string): readonly Instance[];
  /** The same for all apps; another map whenever anything changed. */
  all(): ReadonlyMap<string, readonly Instance[]>;
  /** Makes these serve, acknowledged by every worker of the proxy; returns those they replaced. On failure nothing changed. */
  swap(app: string, instances: readonly Instance[]): Promise<readonly Instance[]>;
  /** Forgets the app: its host is unknown from now on. */
  remove(app: string): Promise<void>;
  /**
   * Sets all apps at once, after a boot. Until then nothing else changes the routes: a table of some apps would take the
   * others away. Throws when the proxy does not take the table; called again, it sends what serves by then.
   */
  restore(serving: ReadonlyMap<string, readonly Instance[]>): Promise<void>;
  /**
   * Lets the requests in flight of each finish, then stops and removes it; one that has none does not wait for the
   * others. They must not serve any more. Never throws: what is left is the reconciler's.
   */
  retire(instances: readonly Instance[], options: RetireOptions): Promise<void>;
  /** Resolves when nothing of the app, or of these types of it, is being retired any more. Throws the signal's reason. */
  untilRetired(app: string, signal: AbortSignal, isMeant?: (type: string) => boolean): Promise<void>;
  /** Containers that are being retired. */
  readonly retiring: { has(containerId: string): boolean };
  /** Resolves when forge knows what runs, which after a boot the engine has to tell first. Throws `timeout`. */
  untilRestored(): Promise<void>;
}

export interface LiveParts {
  readonly proxy: Pick<ProxyClient, 'apply' | 'drained'>;
  readonly runtime: Pick<Runtime, 'retire'>;
  readonly domain: string;
  readonly controlSocket: string;
  /** Aborts when forge stops: what is draining then is left to the next start. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly faults?: Faults;
}

const applyTimeoutMs = 10_000;
/** While forge stops: a proxy that is there answers in milliseconds. */
const lastApplyTimeoutMs = 1_000;
/** What a change waits for the engine to tell what runs, after a boot. */
const restoreTimeoutMs = 10_000;

export function createLive(parts: LiveParts): Live {
  let serving: ReadonlyMap<string, readonly Instance[]> = new Map();
  const leaving = createLeaving(parts);
  const restored = Promise.withResolvers<void>();
  let isRestored = false;

  const send = createSender(parts);
  const apply = async (): Promise<void> => await send(serving);

  const untilRestored = async (): Promise<void> => {
    if (isRestored) return;
    const reason = 'forge has not learned yet what runs: the Docker Engine has not answered since forge started';
    await withTimeout(restoreTimeoutMs, reason, async () => await restored.promise, parts.signal);
  };

  const change = async (next: ReadonlyMap<string, readonly Instance[]>, app: string): Promise<void> => {
    const before = serving.get(app);
    serving = next;
    try {
      await apply();
    } catch (error) {
      serving = before === undefined ? without(serving, app) : new Map([...serving, [app, before]]);
      // A worker may have taken the table before another one failed: the last word is the old table.
      await apply().catch((again: unknown) => parts.log.error({ err: again, app }, 'the old routes could not be put back yet'));
      throw error instanceof ForgeError ? error : new ForgeError('unavailable', 'the proxy did not take the new routes', { cause: error });
    }
  };

  return {
    servingOf: (app) => serving.get(app) ?? [],
    all: () => serving,
    swap: async (app, instances) => {
      await untilRestored();
      const replaced = serving.get(app) ?? [];
      await change(new Map([...serving, [app, instances]]), app);
      const kept = new Set(instances.map(({ containerId }) => containerId));
      return replaced.filter(({ containerId }) => !kept.has(containerId));
    },
    remove: async (app) => {
      await untilRestored();
      await change(without(serving, app), app);
    },
    restore: async (all) => {
      // Known from here on, whatever the proxy does: a change that cannot be routed says so itself.
      if (!isRestored) serving = all;
      isRestored = true;
      restored.resolve();
      await apply();
    },
    ...leaving,
    untilRestored,
  };
}

/** Instances that serve no more and are on their way out. */
function createLeaving(parts: LiveParts): Pick<Live, 'retire' | 'untilRetired' | 'retiring'> {
  const retiring = new Map<string, { readonly instance: Instance; readonly gone: Promise<void> }>();
  const leave = async (instance: Instance, options: RetireOptions): Promise<void> => {
    const gone = drainAndRemove(instance, options, parts).then(() => void retiring.delete(instance.containerId));
    retiring.set(instance.containerId, { instance, gone });
    await gone;
  };
  return {
    retire: async (instances, options) => void (await Promise.all(instances.map((instance) => leave(instance, options)))),
    untilRetired: async (app, signal, isMeant = () => true) => {
      const left = [...retiring.values()].filter(({ instance }) => instance.app === app && isMeant(instance.type)).map(({ gone }) => gone);
      await untilAborted(Promise.all(left), signal);
    },
    retiring,
  };
}

/** Sends the whole table and waits until the proxy serves from it; throws `timeout`. */
function createSender({ proxy, domain, controlSocket, signal: stopping }: LiveParts): (serving: ReadonlyMap<string, readonly Instance[]>) => Promise<void> {
  let version = 0;
  const send = async (table: RouteTable, timeoutMs: number, parent?: AbortSignal): Promise<void> =>
    await withTimeout(timeoutMs, 'the proxy did not take the new routes', (signal) => proxy.apply(table, signal), parent);
  return async (serving) => {
    // Above every number that an earlier run of forge can have used; the proxy takes only higher ones.
    version = Math.max(version + 1, Date.now());
    const table = routeTable({ domain, controlSocket, version, serving: [...serving].map(([app, instances]) => ({ app, instances })) });
    try {
      if (!stopping.aborted) return await send(table, applyTimeoutMs, stopping);
    } catch (error) {
      if (!stopping.aborted) throw error;
    }
    // Also while forge stops: a release that is not confirmed then has to be taken back.
    await send(table, lastApplyTimeoutMs);
  };
}

async function drainAndRemove(instance: Instance, { drainTimeoutMs, stopTimeoutMs, webSocketGraceMs, signal: own }: RetireOptions, parts: LiveParts): Promise<void> {
  const { app, name } = instance;
  const signal = own ? AbortSignal.any([parts.signal, own]) : parts.signal;
  try {
    await parts.proxy.drained([targetId(instance)], { timeoutMs: drainTimeoutMs, webSocketGraceMs, signal });
  } catch (error) {
    // A proxy that does not answer has nothing in flight; a forge that stops leaves the rest to its next start.
    if (!signal.aborted) parts.log.warn({ err: error, app, instance: name }, 'requests in flight could not be waited for');
  }
  if (signal.aborted) return;
  parts.faults?.reach('old-drained');
  try {
    await parts.runtime.retire([instance], { stopTimeoutMs });
  } catch (error) {
    parts.log.warn({ err: error, app, instance: name }, 'an old instance could not be removed; the reconciler tries again');
  }
}

function without<V>(map: ReadonlyMap<string, V>, key: string): Map<string, V> {
  const copy = new Map(map);
  copy.delete(key);
  return copy;
}
