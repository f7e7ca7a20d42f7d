/** Starts a release's instances: beside the old ones, or after them where two at a time must never run. */
import type { Instance, Release } from '../domain.ts';
import { abortError, ForgeError } from '../errors.ts';
import { createReport } from '../report.ts';
import { findCurrentRelease } from '../store/releases.ts';
import type { Attempt } from './attempt.ts';
import type { DeployParts } from './parts.ts';
import { retireOptions } from './retire-options.ts';
import { runsAlone } from './runs-alone.ts';
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
  const { store, live, config } = parts;
  await live.untilRestored();
  const isAlone = (type: string): boolean => runsAlone(settings, type);
  // Those of an earlier release may still have requests to finish.
  await live.untilRetired(name, signal, isAlone);
  const serving = live.servingOf(name);
  const stopping = serving.filter(({ type }) => isAlone(type));
  if (stopping.length === 0) return [];
  report.step(`Stopping ${stopping.map((instance) => instance.name).join(', ')} first, as ${name} is set`);
  await live.swap(name, serving.filter((instance) => !stopping.includes(instance)));
  await live.retire(stopping, { ...retireOptions(appOf(name, store), config), signal });
  parts.faults.reach('old-stopped');
  const left = await findRunning(stopping, name, parts).catch(async (error: unknown) => {
    // Nobody knows which have ended: who asks is shown what there is, and the reconciler looks again.
    await live.swap(name, serving);
    throw error;
  });
  if (left.length === 0) return stopping;
  await live.swap(name, serving.filter((instance) => !stopping.includes(instance) || left.includes(instance)));
  await bringBack(name, stopping.filter((instance) => !left.includes(instance)), parts);
  if (signal.aborted) throw abortError(signal);
  throw new ForgeError('unavailable', `${left.map((one) => one.name).join(', ')} did not stop, so v${version} was not started beside it`, { hint: 'try again in a moment' });
}

async function findRunning(instances: readonly Instance[], app: string, { runtime }: DeployParts): Promise<readonly Instance[]> {
  const running = new Set((await runtime.findInstances(app)).flatMap(({ isRunning, containerId }) => (isRunning ? [containerId] : [])));
  return instances.filter(({ containerId }) => running.has(containerId));
}
