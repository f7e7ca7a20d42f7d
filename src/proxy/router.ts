/**
 * host → what serves it. Built whole from a numbered table and never changed afterwards: the proxy replaces
 * the router in one assignment, so that no request ever sees half of a table.
 */
import type { RouteTable, RouteTarget } from '../domain.ts';

/** One host's entry; `T` is what the proxy keeps for a target (connections, requests in flight). */
export interface RouterEntry<T> {
  /** App name for logs; `undefined` for forge's own host. */
  readonly app: string | undefined;
  /** Empty: the app exists and nothing serves it. */
  readonly targets: readonly T[];
}

export interface Router<T> {
  /** Number of the table it was built from. */
  readonly version: number;
  /** The entry for a Host header as it was sent (any case, with or without port); `undefined` for a host nobody has. */
  find(hostHeader: string): RouterEntry<T> | undefined;
}

/** Spellings of known hosts (case, port) that are remembered; a bound, because clients choose them. */
const maxRemembered = 2048;

/** Builds the router; `open` gives the live target of each row, `control` is the target of forge's own host. */
export function createRouter<T>(table: RouteTable, open: (target: RouteTarget) => T, control: T): Router<T> {
  const entries = new Map<string, RouterEntry<T>>();
  for (const route of table.routes) {
    entries.set(route.host.toLowerCase(), { app: route.app, targets: route.targets.map(open) });
  }
  entries.set(table.controlHost.toLowerCase(), { app: undefined, targets: [control] });
  const remembered = new Map<string, RouterEntry<T>>();
  return {
    version: table.version,
    find(hostHeader) {
      const known = remembered.get(hostHeader);
      if (known !== undefined) return known;
      const name = hostName(hostHeader);
      const entry = name === undefined ? undefined : entries.get(name);
      if (entry !== undefined && remembered.size < maxRemembered) remembered.set(hostHeader, entry);
      return entry;
    },
  };
}

const hostForm = /^([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])\.?(?::\d{1,5})?$/;

/** `App.Example.com.:8080` → `app.example.com`; `undefined` when the header is not a host with an optional port. */
export function hostName(hostHeader: string): string | undefined {
  if (hostHeader.length > 300) return undefined;
  return hostForm.exec(hostHeader.toLowerCase())?.[1];
}

/** The port in a Host header, or that of plain HTTP. */
export function hostPort(hostHeader: string): string {
  return /:(\d{1,5})$/.exec(hostHeader)?.[1] ?? '80';
}
