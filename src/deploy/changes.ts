/** Changes of an app without a new build: each takes the app's turn and goes through the same start, swap and retire. */
import type { Writable } from 'node:stream';
import { defaultLimits } from '../config.ts';
import type { Actor, App, Formation, FormationEntry, Instance, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Report } from '../report.ts';
import { createReport } from '../report.ts';
import { placesOf } from '../runtime/places.ts';
import { readAppState, writeAppState, type AppState } from '../store/app-state.ts';
import { getConfig } from '../store/app-config.ts';
import { updateApp } from '../store/apps.ts';
import { candidateState, codeOf, decideChange, isNothing, withAppFile, type AppChange, type Code } from './candidate.ts';
import { recordRelease, takeAttemptTurn } from './deploy.ts';
import { formationOf, refuseFixed } from './formation.ts';
import { goLive } from './go-live.ts';
import { hasPendingChange, liveRelease } from './live-release.ts';
import type { DeployParts } from './parts.ts';
import type { Turn } from './queue.ts';
import { retireOptions } from './retire-options.ts';
import { startInstances } from './start-instances.ts';
import { appOf, takeTurn } from './turn.ts';

export interface ChangeRequest {
  readonly app: string;
  readonly actor: Actor;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

export interface Applied {
  /** Release that carries the change; `undefined` when it waits for one, or was none. */
  readonly release: number | undefined;
  /** `unchanged`: nothing is different from what it was when the turn had come. */
  readonly pending: 'no-release' | 'no-restart' | 'unchanged' | undefined;
}

export interface ReleaseChange extends ChangeRequest {
  readonly change: AppChange;
  /** "Set DATABASE_URL" */
  readonly reason: string;
  /** Whether running instances are replaced now. Without it the change is stored and waits for the next release. */
  readonly restart: boolean;
}

/**
 * Puts a change in force: a release of the live code with it is started beside the old one, and only when it serves is the
 * change stored. When it does not come up, everything is as before. What asks for nothing makes no release.
 */
export async function change(request: ReleaseChange, parts: DeployParts): Promise<Applied> {
  const app = appOf(request.app, parts.store);
  const now = readAppState(parts.store, app.name);
  if (app.currentVersion !== undefined) refuseFixed(decideChange(request.change, now).formation, liveRelease(app, parts));
  const takesRelease = app.currentVersion !== undefined && request.restart && !isNothing(request.change, now);
  const stored = takesRelease ? undefined : await storeOnly(request, parts);
  if (stored) return stored;
  const release = await makeRelease(request, parts, (live) => (isNothing(request.change, readAppState(parts.store, live.name)) ? undefined : candidateOf(live, request.change, parts)));
  return release ? { release: release.version, pending: undefined } : unchanged;
}

const unchanged: Applied = { release: undefined, pending: 'unchanged' };

/** Without a release; `undefined` when it takes one after all: the app's first one went live while this waited, or what it asks for is no longer so. */
async function storeOnly({ app: name, change: wanted, reason, restart: isRestart, signal, output }: ReleaseChange, parts: DeployParts): Promise<Applied | undefined> {
  using _turn = await takeTurn({ app: name, holder: `a change (${reason})`, isRelease: true, signal, report: createReport([output]) }, parts);
  const app = appOf(name, parts.store);
  const isLive = app.currentVersion !== undefined;
  if (isNothing(wanted, readAppState(parts.store, name))) return unchanged;
  if (isLive && isRestart) return undefined;
  writeAppState(parts.store, name, candidateState(app, wanted, parts.store));
  return { release: undefined, pending: isLive ? 'no-restart' : 'no-release' };
}

interface Candidate {
  readonly code: Code;
  readonly state: AppState;
  /** When it is another one than was asked for. */
  readonly reason?: string;
}

/** The live code with the config and settings of now and what the change adds. `conflict` before the first release, or when app.json fixes it otherwise. */
function candidateOf(app: App, wanted: AppChange, parts: DeployParts): Candidate {
  const live = liveRelease(app, parts);
  refuseFixed(decideChange(wanted, readAppState(parts.store, app.name)).formation, live);
  return { code: codeOf(live), state: candidateState(app, wanted, parts.store) };
}

/** A release without a build: what it is made of is decided when the turn has come. Resolves to `undefined` when that is nothing. */
export async function makeRelease<T extends Candidate | undefined>(
  request: ChangeRequest & { readonly reason: string },
  parts: DeployParts,
  decide: (app: App) => T | Promise<T>,
): Promise<Release | Extract<T, undefined>> {
  const attempt = parts.attempts.open({ ...request, origin: { kind: 'change' } });
  try {
    using _turn = await takeAttemptTurn(attempt, parts);
    const candidate = await decide(appOf(request.app, parts.store));
    if (candidate === undefined) {
      await attempt.succeed();
      return candidate as Extract<T, undefined>;
    }
    const { code, reason = request.reason } = candidate;
    if (reason !== request.reason) attempt.restate(reason);
    const state = withAppFile(candidate.state, code, parts.config);
    attempt.hide(Object.values(state.config));
    const release = recordRelease({ code, state, attempt, request: { ...request, reason }, parts });
    const started = state.isStopped ? { instances: [], stopped: [] } : await startInstances(release, attempt, parts);
    await goLive({ release, state: { ...state, version: release.version }, started, attempt, parts, confirm: noConfirmation });
    return release;
  } catch (error) {
    throw await attempt.fail(error);
  }
}

const noConfirmation = async (): Promise<void> => undefined;

/** Fresh instances in place of the running ones: of the live release, or of a new one when config or settings changed since. */
export async function restart(request: ChangeRequest, parts: DeployParts): Promise<void> {
  if (hasPendingChange(appOf(request.app, parts.store), parts)) return void (await makeRelease({ ...request, reason: 'Restart with changed config' }, parts, (app) => candidateOf(app, {}, parts)));
  const attempt = parts.attempts.open({ ...request, origin: { kind: 'change' }, reason: 'Restart' });
  try {
    using _turn = await takeAttemptTurn(attempt, parts, { isRelease: false });
    attempt.hide(Object.values(getConfig(parts.store, request.app)));
    const app = appOf(request.app, parts.store);
    if (app.isStopped) throw new ForgeError('conflict', `${app.name} is stopped`, { hint: `ps:start ${app.name} starts it` });
    const release = wantedRelease(app, parts);
    const started = await startInstances(release, attempt, parts);
    await goLive({ release, state: readAppState(parts.store, app.name), started, attempt, parts, confirm: noConfirmation });
  } catch (error) {
    throw await attempt.fail(error);
  }
}

/** Sets quantities; starts what is missing beside the rest, swaps, retires what is too many. Other types are not touched. */
export async function scale(request: ChangeRequest & { readonly changes: Readonly<Record<string, number>> }, parts: DeployParts): Promise<Formation> {
  using _turn = await takeChangeTurn(request, parts, 'a scale');
  const scaledNow = (): App => {
    const app = appOf(request.app, parts.store);
    return { ...app, formation: { ...app.formation, ...scaled(app, request.changes, parts) } };
  };
  const app = scaledNow();
  if (app.currentVersion !== undefined && !app.isStopped) await converge(app, request, parts);
  // Read again: limits may have been set meanwhile, which takes no turn.
  return updateApp(parts.store, app.name, { formation: scaledNow().formation }).formation;
}

/** Stops every instance; the app answers 503 until `start`. When it throws, nothing has changed. */
export async function stop(request: ChangeRequest, parts: DeployParts): Promise<void> {
  using _turn = await takeChangeTurn(request, parts, 'a stop');
  const app = appOf(request.app, parts.store);
  const replaced = await parts.live.swap(app.name, []);
  try {
    updateApp(parts.store, app.name, { isStopped: true });
  } catch (error) {
    await parts.live.swap(app.name, replaced);
    throw error;
  }
  await parts.live.retire(replaced, retireOptions(app, parts.config));
}

/** Starts what the formation asks for. */
export async function start(request: ChangeRequest, parts: DeployParts): Promise<void> {
  using _turn = await takeChangeTurn(request, parts, 'a start');
  const app = appOf(request.app, parts.store);
  if (app.currentVersion !== undefined) await converge(app, request, parts);
  updateApp(parts.store, app.name, { isStopped: false });
}

/** Of changes that make no release: a lock does not refuse them. */
const takeChangeTurn = async ({ app, signal, output }: ChangeRequest, parts: DeployParts, holder: string): Promise<Turn> =>
  await takeTurn({ app, holder, signal, isRelease: false, report: createReport([output]) }, parts);

function scaled(app: App, changes: Readonly<Record<string, number>>, parts: DeployParts): Record<string, FormationEntry> {
  const limits = defaultLimits(parts.config);
  const live = app.currentVersion === undefined ? undefined : liveRelease(app, parts);
  const known = live && Object.keys(live.image.processTypes);
  if (live) refuseFixed(Object.fromEntries(Object.entries(changes).map(([type, quantity]) => [type, { quantity }])), live);
  const entries = Object.entries(changes).map(([type, quantity]): [string, FormationEntry] => {
    if (known && !known.includes(type)) {
      throw new ForgeError('invalid', `${app.name} has no process type ${JSON.stringify(type)}`, { hint: `its process types: ${known.join(', ')}` });
    }
    return [type, { quantity, limits: app.formation[type]?.limits ?? limits }];
  });
  return Object.fromEntries(entries);
}

/** Makes what serves equal to the app's formation: missing places are started and probed first, then one swap. */
async function converge(app: App, request: ChangeRequest, parts: DeployParts): Promise<void> {
  const { live, runtime } = parts;
  const report: Report = createReport([request.output]);
  const release = wantedRelease(app, parts);
  const wanted = placesOf(release.formation);
  await live.untilRestored();
  const serving = live.servingOf(app.name);
  const isIn = (places: readonly { type: string; ordinal: number }[], one: { type: string; ordinal: number }) =>
    places.some(({ type, ordinal }) => type === one.type && ordinal === one.ordinal);
  const missing = wanted.filter((place) => !isIn(serving, place));
  const kept = serving.filter((instance) => isIn(wanted, instance));
  const started = missing.length === 0 ? [] : await runtime.startRelease({ release, places: missing, deploymentId: 'scale', signal: request.signal, report });
  let surplus: readonly Instance[];
  try {
    surplus = await live.swap(app.name, [...kept, ...started]);
  } catch (error) {
    await runtime.retire(started, { stopTimeoutMs: 0 });
    throw error;
  }
  parts.faults.reach('routes-swapped');
  await runtime.promote(started);
  void live.retire(surplus, retireOptions(app, parts.config));
}

/** The live release with the formation that the app wants now. */
function wantedRelease(app: App, parts: DeployParts): Release {
  const release = liveRelease(app, parts);
  return { ...release, formation: formationOf(app, release.image.processTypes, defaultLimits(parts.config)) };
}
