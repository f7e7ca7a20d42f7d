/** What the reconciler does before it starts anything of a type of which two must never run. */
import type { App, Instance } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { findCurrentRelease } from '../store/releases.ts';
import type { DeployParts } from './parts.ts';
import type { ReconcileAction } from './reconcile.ts';
import { retireOptions } from './retire-options.ts';
import { runsAlone } from './runs-alone.ts';

export interface EndFirst {
  readonly app: App;
  /** What there is of the app, without what is being retired. */
  readonly found: readonly Instance[];
  readonly actions: readonly ReconcileAction[];
  /** Takes what is to be retired out of the routes. */
  unroute(): Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Ends what is on its way out, so that others may start in its place; returns the actions that are left. Throws when one
 * does not end, or the signal's reason: then `startableBeside` tells what may be done all the same.
 */
export async function endFirst({ app, found, actions, unroute, signal }: EndFirst, parts: DeployParts): Promise<readonly ReconcileAction[]> {
  const { live, runtime, config } = parts;
  const isAlone = aloneIn(app, parts);
  if (!actions.some((action) => action.kind !== 'retire' && typesOf(action).some(isAlone))) return actions;
  const ending = actions.flatMap((action) => (action.kind === 'retire' && isAlone(action.instance.type) ? [action.instance] : []));
  if (ending.length > 0) {
    await unroute();
    void live.retire(ending, retireOptions(app, config));
  }
  await live.untilRetired(app.name, signal, isAlone);
  const staying = new Set(found.filter((one) => !ending.includes(one)).map(({ containerId }) => containerId));
  const left = (await runtime.findInstances(app.name)).filter(({ type, isRunning, containerId }) => isRunning && isAlone(type) && !staying.has(containerId));
  if (left.length > 0) throw new ForgeError('unavailable', `${left.map(({ name, version }) => `${name} of v${version}`).join(', ')} did not stop, so no other was started beside it`);
  return actions.filter((action) => action.kind !== 'retire' || !ending.includes(action.instance));
}

/** The actions without starts of types that run alone. */
export function startableBeside(app: App, actions: readonly ReconcileAction[], parts: DeployParts): readonly ReconcileAction[] {
  const isAlone = aloneIn(app, parts);
  return actions.flatMap((action): ReconcileAction[] => {
    if (action.kind === 'start') return [{ ...action, places: action.places.filter(({ type }) => !isAlone(type)) }].filter(({ places }) => places.length > 0);
    return action.kind === 'restart' && isAlone(action.instance.type) ? [] : [action];
  });
}

/** As the app is set, or was when the release that serves was made. */
function aloneIn({ name, settings }: App, { store }: DeployParts): (type: string) => boolean {
  const released = findCurrentRelease(store, name)?.settings ?? settings;
  return (type) => runsAlone(settings, type) || runsAlone(released, type);
}

const typesOf = (action: ReconcileAction): readonly string[] => (action.kind === 'start' ? action.places.map(({ type }) => type) : [action.instance.type]);
