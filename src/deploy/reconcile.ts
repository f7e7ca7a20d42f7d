/**
 * What has to be done so that the machine equals the database: a pure function from (wanted, found) to actions.
 * A second pass over a machine that carried them out finds nothing to do; a wanted instance is never removed.
 */
import type { Instance } from '../domain.ts';
import { oneOffTypes } from '../labels.ts';

export interface WantedApp {
  readonly app: string;
  /** Live release; `undefined` before the first successful deploy. */
  readonly version: number | undefined;
  /** Places that should run, none for a stopped app. */
  readonly places: readonly { readonly type: string; readonly ordinal: number }[];
  /** Attempts that did not go live: of two instances in one place theirs goes, it may never have been ready. */
  readonly failedDeployments: ReadonlySet<string>;
}

export type ReconcileAction =
  /** Not wanted any more: drain, stop, remove. */
  | { readonly kind: 'retire'; readonly app: string; readonly instance: Instance }
  /** The container is there but does not run. */
  | { readonly kind: 'restart'; readonly app: string; readonly instance: Instance }
  /** Nothing is there: start new instances of the live release at these places. */
  | { readonly kind: 'start'; readonly app: string; readonly version: number; readonly places: readonly { readonly type: string; readonly ordinal: number }[] };

export function reconcile(wanted: readonly WantedApp[], found: readonly Instance[]): ReconcileAction[] {
  const known = new Set(wanted.map(({ app }) => app));
  const strays = found.filter(({ app, type }) => !known.has(app) && !oneOffTypes.has(type));
  return [
    ...strays.map((instance): ReconcileAction => ({ kind: 'retire', app: instance.app, instance })),
    ...wanted.flatMap((app) => reconcileApp(app, found.filter((instance) => instance.app === app.app && !oneOffTypes.has(instance.type)))),
  ];
}

function reconcileApp(wanted: WantedApp, found: readonly Instance[]): ReconcileAction[] {
  const kept = new Map<string, Instance>();
  const retire: Instance[] = [];
  const isFailed = ({ deploymentId }: Instance): boolean => wanted.failedDeployments.has(deploymentId);
  // Of two in one place the better one stays; between equals, always the same one.
  const ordered = found.toSorted(
    (a, b) => Number(b.isRunning) - Number(a.isRunning) || Number(isFailed(a)) - Number(isFailed(b)) || a.containerId.localeCompare(b.containerId),
  );
  for (const instance of ordered) {
    const isWanted = instance.version === wanted.version && wanted.places.some((place) => placeKey(place) === placeKey(instance));
    if (isWanted && !kept.has(placeKey(instance))) kept.set(placeKey(instance), instance);
    else retire.push(instance);
  }
  const missing = wanted.places.filter((place) => !kept.has(placeKey(place)));
  const { app, version } = wanted;
  return [
    ...(version !== undefined && missing.length > 0 ? [{ kind: 'start', app, version, places: missing } as const] : []),
    ...[...kept.values()].filter(({ isRunning }) => !isRunning).map((instance) => ({ kind: 'restart', app, instance }) as const),
    ...retire.map((instance) => ({ kind: 'retire', app, instance }) as const),
  ];
}

const placeKey = ({ type, ordinal }: { readonly type: string; readonly ordinal: number }): string => `${type}.${ordinal}`;
