/** A fresh instance in the place of one that runs and does not do its work: started beside it, swapped, the old one retired. */
import { Writable } from 'node:stream';
import { defaultLimits } from '../config.ts';
import type { Actor, Instance, Release } from '../domain.ts';
import { abortError, ForgeError } from '../errors.ts';
import { createReport } from '../report.ts';
import { findApp } from '../store/apps.ts';
import { findRelease } from '../store/releases.ts';
import type { Attempt } from './attempt.ts';
import { formationOf } from './formation.ts';
import type { DeployParts } from './parts.ts';
import { retireOptions } from './retire-options.ts';
import { runsAlone } from './runs-alone.ts';
import { takeTurn } from './turn.ts';

export interface Replacement {
  readonly instance: Instance;
  /** "Replace web.1: liveness check failed 3 times" */
  readonly reason: string;
  /** Asked once the app's turn has come: what is wrong, in words, or `undefined` when the instance is well again. */
  problem(): Promise<string | undefined>;
  readonly signal: AbortSignal;
}

/** Forge itself, where nobody asked. */
const forge: Actor = { name: 'forge', via: 'operator', isAdmin: true, permission: 'manage', apps: 'all' };

/**
 * Resolves to whether it was replaced: not when it serves no more, or is well, by the time the turn has come. When the new
 * one does not get ready the old one stays, and this throws why; the deployment record has it too.
 */
export async function replaceInstance(request: Replacement, parts: DeployParts): Promise<boolean> {
  const { instance, signal } = request;
  const { app, name } = instance;
  using _turn = await takeTurn({ app, holder: `a replacement of ${name}`, isRelease: false, report: createReport([]), signal }, parts);
  const release = servedRelease(instance, parts);
  const problem = release && (await request.problem());
  if (!release || problem === undefined) return false;
  const output = new Writable({ write: (_chunk, _encoding, written) => written() });
  const attempt = parts.attempts.open({ app, actor: forge, origin: { kind: 'change' }, reason: request.reason, output, signal });
  try {
    attempt.enter('starting');
    attempt.report.step(`Starting another ${name} of v${release.version}`);
    attempt.report.body(`this one does not pass ${problem}`);
    if (runsAlone(release.settings, instance.type)) await replaceAfter(instance, release, attempt, parts);
    else await replaceBeside(instance, release, attempt, parts);
    return true;
  } catch (error) {
    throw await attempt.fail(error);
  }
}

/** The release that the instance belongs to, with the formation of now; `undefined` when the instance is not wanted any more. */
function servedRelease({ app: name, version, containerId, type }: Instance, { store, live, config }: DeployParts): Release | undefined {
  const app = findApp(store, name);
  if (!app || app.isStopped || app.currentVersion !== version) return undefined;
  if (live.servingOf(name).every((one) => one.containerId !== containerId)) return undefined;
  const release = findRelease(store, name, version);
  if (!release) return undefined;
  const formation = formationOf(app, release.image.processTypes, defaultLimits(config));
  return formation[type] && { ...release, formation };
}

async function replaceBeside(instance: Instance, release: Release, attempt: Attempt, parts: DeployParts): Promise<void> {
  const { live, runtime } = parts;
  const started = await startAt(instance, release, attempt, parts);
  try {
    attempt.commit();
    await live.swap(release.app, live.servingOf(release.app).flatMap((one) => (one.containerId === instance.containerId ? started : [one])));
  } catch (error) {
    await runtime.retire(started, { stopTimeoutMs: 0 });
    throw error;
  }
  await finish(started, attempt, parts);
  void live.retire([instance], retireOptions(release, parts.config));
}

/** For apps of which two must never run. If the new one does not get ready, the reconciler goes on trying. */
async function replaceAfter(instance: Instance, release: Release, attempt: Attempt, parts: DeployParts): Promise<void> {
  const { live, runtime } = parts;
  const { app } = release;
  attempt.report.step(`Stopping ${instance.name} first, as ${app} is set`);
  await live.untilRetired(app, attempt.signal, (type) => runsAlone(release.settings, type));
  await live.swap(app, live.servingOf(app).filter((one) => one.containerId !== instance.containerId));
  try {
    await live.retire([instance], { ...retireOptions(release, parts.config), signal: attempt.signal });
    const isLeft = (await runtime.findInstances(app)).some((one) => one.containerId === instance.containerId && one.isRunning);
    if (isLeft) throw attempt.signal.aborted ? abortError(attempt.signal) : new ForgeError('unavailable', `${instance.name} did not stop, so no other was started beside it`);
  } catch (error) {
    await live.swap(app, [...live.servingOf(app), instance]);
    throw error;
  }
  const started = await startAt(instance, release, attempt, parts);
  attempt.commit();
  await live.swap(app, [...live.servingOf(app), ...started]);
  await finish(started, attempt, parts);
}

const startAt = async ({ type, ordinal }: Instance, release: Release, { id, report, signal }: Attempt, { runtime }: DeployParts): Promise<readonly Instance[]> =>
  await runtime.startRelease({ release, places: [{ type, ordinal }], deploymentId: id, report, signal });

/** It serves: nothing may take that back any more. */
async function finish(started: readonly Instance[], attempt: Attempt, { runtime, log }: DeployParts): Promise<void> {
  await runtime.promote(started).catch((error: unknown) => log.warn({ err: error, app: attempt.app }, 'instances could not be set to restart'));
  attempt.report.done(`${started.map(({ name }) => name).join(', ')} replaced`);
  await attempt.succeed();
}
