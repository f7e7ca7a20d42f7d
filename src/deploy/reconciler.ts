/** Carries out what `reconcile` decides: at boot, when the engine comes back, and every minute. Never during an app's turn. */
import { defaultLimits } from '../config.ts';
import { defaultSettings, type App, type Instance } from '../domain.ts';
import { findApp, findApps } from '../store/apps.ts';
import type { LogCollector } from '../runtime/logs/collector.ts';
import { createReport } from '../report.ts';
import { findDeployment, findUnfinishedDeployments } from '../store/deployments.ts';
import { findProcessTypes, findRelease } from '../store/releases.ts';
import { endFirst, startableBeside, type EndFirst } from './end-first.ts';
import type { DeployParts } from './parts.ts';
import type { RetireOptions } from './live.ts';
import { retireOptions } from './retire-options.ts';
import { placesOf } from '../runtime/places.ts';
import { formationOf } from './formation.ts';
import { reconcile, type ReconcileAction, type WantedApp } from './reconcile.ts';
import { createWhenFree } from './when-free.ts';

/** Apps that are looked after at one time. */
const lanes = 4;

export interface Reconciler {
  /** Routes whatever runs of the live releases, so that apps serve before anything is repaired; once, unless it fails. */
  adopt(): Promise<void>;
  /** One pass over every app; those whose turn is taken follow as soon as it is free. Failures of one app do not stop the others. */
  pass(signal: AbortSignal): Promise<void>;
  /** One pass over this app; if its turn is taken, as soon as that is free. */
  visit(app: string, signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is being looked after any more, which the signals of all passes and visits end. */
  settled(): Promise<void>;
}

export interface ReconcilerParts extends DeployParts {
  readonly logs: Pick<LogCollector, 'follow'>;
}

export function createReconciler(parts: ReconcilerParts): Reconciler {
  const { store, runtime, live, queue, log, logs } = parts;

  /** What is being retired still runs and is nobody's to count on. */
  const findStaying = async (app?: string): Promise<readonly Instance[]> => (await runtime.findInstances(app)).filter(({ containerId }) => !live.retiring.has(containerId));

  const adoptNow = async (): Promise<void> => {
    const found = await runtime.findInstances();
    for (const instance of found) logs.follow(instance);
    const byApp = Map.groupBy(found, ({ app }) => app);
    const serving = new Map(findApps(store).map((app) => [app.name, liveInstances(app, byApp.get(app.name) ?? [], parts)]));
    await live.restore(serving);
    for (const [app, instances] of serving) await promote(app, instances);
  };
  /** A forge that was killed right after a swap had not come to it. */
  const promote = async (app: string, instances: readonly Instance[]): Promise<void> => {
    const running = instances.filter(({ isRunning }) => isRunning);
    await runtime.promote(running).catch((error: unknown) => log.warn({ err: error, app }, 'instances could not be set to restart'));
  };
  const adopt = untilSucceeded(adoptNow);

  const lookAfter = async (name: string, patient: AbortSignal): Promise<void> => {
    await parts.settle(name);
    const app = findApp(store, name);
    const found = await findStaying(name);
    const actions = reconcile(app ? [wantedOf(app, found, parts)] : [], found);
    // One that fails, such as a worker that does not start, must not keep the rest from being done and routed.
    const failures: unknown[] = [];
    const failed = (error: unknown): void => void failures.push(error);
    const ready = app ? await clearWay({ app, found, actions, signal: patient }, parts).catch((error: unknown) => (failed(error), startableBeside(app, actions, parts))) : actions;
    for (const action of ready) await repair(action, parts, patient).catch(failed);
    if (app) await route(app, await findStaying(name), parts);
    // Only now: what still gets requests must not be told to end.
    for (const action of ready) if (action.kind === 'retire' && !live.retiring.has(action.instance.containerId)) void live.retire([action.instance], retireOptionsOf(action.app, parts));
    if (failures.length > 0) throw failures[0];
    if (app && actions.length > 0) log.info({ app: name, actions: actions.map(({ kind }) => kind) }, 'reconciled');
  };
  const whenFree = createWhenFree({ queue, log, task: lookAfter });

  const pass = async (signal: AbortSignal): Promise<void> => {
    await adopt();
    const found = await findStaying();
    // Somebody else may have started one again.
    for (const instance of found) if (instance.isRunning) logs.follow(instance);
    const names = appsToVisit(found, parts).values();
    const lane = async (): Promise<void> => {
      for (const name of names) {
        if (signal.aborted) return;
        await whenFree.run(name, signal);
      }
    };
    // An app that takes its whole time to not get ready must not hold up all the others.
    await Promise.all(Array.from({ length: lanes }, lane));
  };

  return { adopt, pass, visit: whenFree.run, settled: whenFree.settled };
}

/** Runs it once for all who ask; after a failure, again for the next who asks. */
function untilSucceeded(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return async () => {
    running ??= task();
    try {
      await running;
    } catch (error) {
      running = undefined;
      throw error;
    }
  };
}

/** Apps of which something is not as it should be. One look at everything: a visit asks the engine and the store again. */
function appsToVisit(found: readonly Instance[], parts: DeployParts): ReadonlySet<string> {
  const { store } = parts;
  const byApp = Map.groupBy(found, ({ app }) => app);
  const apps = findApps(store);
  const isInOrder = (app: App): boolean => {
    const own = byApp.get(app.name) ?? [];
    return reconcile([wantedOf(app, own, parts)], own).length === 0 && isRouted(app, liveInstances(app, own, parts), parts);
  };
  const known = new Set(apps.map(({ name }) => name));
  const strays = [...byApp.keys()].filter((name) => !known.has(name));
  const unfinished = findUnfinishedDeployments(store).map(({ app }) => app);
  return new Set([...apps.filter((app) => !isInOrder(app)).map(({ name }) => name), ...strays, ...unfinished]);
}

function wantedOf(app: App, found: readonly Instance[], parts: DeployParts): WantedApp {
  if (app.isBeingRemoved) return { app: app.name, version: undefined, places: [], failedDeployments: new Set() };
  const { name, currentVersion: version } = app;
  const types = version === undefined || app.isStopped ? undefined : findProcessTypes(parts.store, name, version);
  const places = types ? placesOf(formationOf(app, types, defaultLimits(parts.config))) : [];
  const failed = found.filter(({ deploymentId }) => findDeployment(parts.store, deploymentId)?.failure !== undefined);
  return { app: name, version, places, failedDeployments: new Set(failed.map(({ deploymentId }) => deploymentId)) };
}

function liveInstances(app: App, own: readonly Instance[], parts: DeployParts): readonly Instance[] {
  if (own.length === 0) return own;
  const wanted = wantedOf(app, own, parts);
  const retired = reconcile([wanted], own).flatMap((action) => (action.kind === 'retire' ? [action.instance.containerId] : []));
  return own.filter((instance) => instance.version === wanted.version && !retired.includes(instance.containerId));
}

/** Makes the routes equal to what runs now, when they differ. */
async function route(app: App, own: readonly Instance[], parts: DeployParts): Promise<void> {
  const instances = liveInstances(app, own, parts);
  if (!isRouted(app, instances, parts)) await parts.live.swap(app.name, instances);
}

const clearWay = async (request: Omit<EndFirst, 'unroute'>, parts: DeployParts): Promise<readonly ReconcileAction[]> =>
  await endFirst({ ...request, unroute: async () => await route(request.app, request.found, parts) }, parts);

function isRouted(app: App, instances: readonly Instance[], { live }: DeployParts): boolean {
  const serving = live.servingOf(app.name);
  const key = (one: Instance) => `${one.containerId} ${one.isRunning} ${one.address}`;
  return instances.length === serving.length && new Set([...instances, ...serving].map(key)).size === instances.length;
}

const retireOptionsOf = (name: string, { store, config }: DeployParts): RetireOptions => retireOptions(findApp(store, name) ?? { settings: { ...defaultSettings, drainTimeoutMs: 0 } }, config);

async function repair(action: ReconcileAction, parts: DeployParts, signal: AbortSignal): Promise<void> {
  switch (action.kind) {
    case 'retire':
      return;
    case 'restart':
      return await parts.runtime.restartInstance(action.instance, signal);
    case 'start': {
      const release = findRelease(parts.store, action.app, action.version);
      if (!release) return;
      const report = createReport([]);
      const started = await parts.runtime.startRelease({ release, places: action.places, deploymentId: 'reconcile', signal, report });
      await parts.runtime.promote(started);
    }
  }
}
