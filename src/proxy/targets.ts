/** The live targets behind the route tables: shared between consecutive tables, retired when a table leaves them out. */
import type { RouteTable, RouteTarget } from '../domain.ts';
import { delay, untilAborted } from '../wait.ts';
import { createRouter, type Router } from './router.ts';
import { Target, type TargetTimes } from './target.ts';

export interface DrainRequest {
  readonly targetIds: readonly string[];
  /** After this long what is still in flight is cut off. */
  readonly timeoutMs: number;
  /** How long WebSockets live on before they get a close frame. */
  readonly webSocketGraceMs: number;
}

export interface Targets {
  /**
   * The router for a table. Targets that the previous table had too (same id, address and port) keep their
   * connections. Nothing is retired yet: the caller first puts the router in place, then calls `retire`.
   */
  route(table: RouteTable): { readonly router: Router<Target>; retire(): void };
  /** Resolves when no retired target of these ids has anything in flight; cuts off the rest at the deadline. */
  drain(request: DrainRequest, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** A close frame is answered in milliseconds; after this the tunnel is cut. */
const closeAnswerMs = 1000;

export function createTargets(times: TargetTimes): Targets {
  let live = new Map<string, Target>();
  const retired = new Set<Target>();

  const retire = (target: Target): void => {
    retired.add(target);
    target.retire();
    target.onceDrained(() => retired.delete(target));
  };

  return {
    route(table) {
      const next = new Map<string, Target>();
      const open = (key: string, create: () => Target): Target => {
        const target = next.get(key) ?? live.get(key) ?? create();
        next.set(key, target);
        return target;
      };
      const control = open(`control ${table.controlSocket}`, () => new Target({ id: 'forge', origin: { socketPath: table.controlSocket } }, times));
      const router = createRouter(table, (row: RouteTarget) => open(keyOf(row), () => new Target({ id: row.id, origin: row }, times)), control);
      return {
        router,
        retire() {
          const previous = live;
          live = next;
          for (const [key, target] of previous) if (!next.has(key)) retire(target);
        },
      };
    },
    async drain(request, signal) {
      const ids = new Set(request.targetIds);
      await Promise.all([...retired].filter((target) => ids.has(target.id)).map((target) => drainTarget(target, request, signal)));
    },
    close() {
      for (const target of live.values()) retire(target);
      live = new Map();
      for (const target of retired) for (const tunnel of target.tunnels) tunnel.destroy();
    },
  };
}

const keyOf = (row: RouteTarget): string => `${row.id} ${row.address} ${row.port}`;

async function drainTarget(target: Target, { timeoutMs, webSocketGraceMs }: DrainRequest, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const ended = AbortSignal.any([signal, over.signal]);
  const { promise: drained, resolve } = Promise.withResolvers<void>();
  target.onceDrained(resolve);
  const cut = async (): Promise<void> => {
    await delay(Math.min(webSocketGraceMs, timeoutMs), ended);
    target.closeTunnels();
    await delay(closeAnswerMs, ended);
    for (const tunnel of target.tunnels) tunnel.destroy();
    await delay(Math.max(0, timeoutMs - webSocketGraceMs - closeAnswerMs), ended);
    target.cutOff();
    await drained;
  };
  try {
    await Promise.race([untilAborted(drained, signal), cut()]);
  } finally {
    over.abort();
  }
}
