/** Starts a release's instances: beside the old ones, or after them where two at a time must never run. */
import type { Instance, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { createReport } from '../report.ts';
import { findCurrentRelease } from '../store/releases.ts';
import type { Attempt } from './attempt.ts';
import type { DeployParts } from './parts.ts';
import { retireOptions } from './retire-options.ts';
import { appOf } from './turn.ts';

export interface Started {
  readonly instances: readonly Instance[];
  /** Old ones that had to end first; they are started again when the release does not go live. */
  readonly stopped: readonly Instance[];
}

/** Resolves when all are ready. When it throws, nothing new is left and what was stopped runs again. */
export async function startInstances(release: Release, attempt: Attempt, parts: DeployParts): Promise<Started> {
  attempt.enter('starting');
  const { report, signal } = attempt;
  const wanted = Object.entries(release.formation).flatMap(([type, { quantity }]) => (quantity > 0 ? [`${type}=${quantity}`] : []));
  report.step(`Starting v${release.version} (${wanted.join(' ') || 'nothing scaled up'})`);
  const stopped = await stopFirst(release, attempt, parts);
  try {
    const instances = await parts.runtime.startRelease({ release, deploymentId: attempt.id, signal, report });
    parts.faults.reach('instances-started');
    return { instances, stopped };
  } catch (error) {
    await bringBack(release.app, stopped, parts);
    throw error;
  }
}

/** Starts what had been stopped for a release that did not go live. Never throws: the reconciler goes on. */
export async function bringBack(app: string, stopped: readonly Instance[], parts: DeployParts): Promise<void> {
  const { store, runtime, live, log } = parts;
  const release = findCurrentRelease(store, app);
  if (stopped.length === 0 || !release) return;
  try {
    const places = stopped.map(({ type, ordinal }) => ({ type, ordinal }));
    const again = await runtime.startRelease({ release, places, deploymentId: 'bring-back', signal: new AbortController().signal, report: createReport([]) });
    await live.swap(app, [...live.servingOf(app), ...again]);
    await runtime.promote(again);
  } catch (error) {
    log.error({ err: error, app }, 'the old release could not be started again at once; the reconciler tries again');
  }
}

/** Ends those of which two must never run. Throws when one does not end; they are started again then. */
export async function stopFirst({ app: name, settings, version }: Release, { report, signal }: Pick<Attempt, 'report' | 'signal'>, parts: DeployParts): Promise<readonly Instance[]> {
  const { store, live, runtime, config } = parts;
  await live.untilRestored();
  // Those of an earlier release may still have requests to finish.
  if (settings.strategy === 'recreate') await live.untilRetired(name, signal);
  const serving = live.servingOf(name);
  const stopping = serving.filter(({ type }) => settings.strategy === 'recreate' || settings.uncheckedTypes.includes(type));
  if (stopping.length === 0) return [];
  report.step(`Stopping ${stopping.map((instance) => instance.name).join(', ')} first, as ${name} is set`);
  await live.swap(name, serving.filter((instance) => !stopping.includes(instance)));
  await live.retire(stopping, retireOptions(appOf(name, store), config));
  parts.faults.reach('old-stopped');
  const left = (await runtime.findInstances(name)).filter((found) => found.isRunning && stopping.some(({ containerId }) => containerId === found.containerId));
  if (left.length === 0) return stopping;
  await live.swap(name, serving.filter((instance) => !stopping.includes(instance) || left.some(({ containerId }) => containerId === instance.containerId)));
  await bringBack(name, stopping.filter(({ containerId }) => left.every((one) => one.containerId !== containerId)), parts);
  throw new ForgeError('unavailable', `${left.map((one) => one.name).join(', ')} did not stop, so v${version} was not started beside it`, { hint: 'try again in a moment' });
}
