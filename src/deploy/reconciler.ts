/** Carries out what `reconcile` decides: at boot, when the engine comes back, and every minute. Never during an app's turn. */
import { defaultLimits } from '../config.ts';
import type { App, Instance } from '../domain.ts';
import { findApp, findApps } from '../store/apps.ts';
import type { LogCollector } from '../runtime/logs/collector.ts';
import { createReport } from '../report.ts';
import { findDeployment } from '../store/deployments.ts';
import { findRelease } from '../store/releases.ts';
import type { DeployParts } from './parts.ts';
import { retireOptions } from './retire-options.ts';
import { placesOf } from '../runtime/places.ts';
import { formationOf } from './formation.ts';
import { reconcile, type ReconcileAction, type WantedApp } from './reconcile.ts';

/** Apps that are looked after at one time. */
const lanes = 4;

export interface Reconciler {
  /** Routes whatever runs of the live releases, so that apps serve before anything is repaired; once, unless it fails. */
  adopt(): Promise<void>;
  /** One pass over every app whose turn is free. Failures of one app do not stop the others. */
  pass(signal: AbortSignal): Promise<void>;
  /** One pass over this app, unless its turn is taken. */
  visit(app: string, signal: AbortSignal): Promise<void>;
}

export interface ReconcilerParts extends DeployParts {
  readonly logs: Pick<LogCollector, 'follow'>;
}

export function createReconciler(parts: ReconcilerParts): Reconciler {
  const { store, runtime, live, queue, log, logs } = parts;

  const adoptNow = async (): Promise<void> => {
    const found = await runtime.findInstances();
    for (const instance of found) logs.follow(instance);
    const serving = new Map(findApps(store).map((app) => [app.name, liveInstances(app, found, parts)]));
    await live.restore(serving);
    for (const [app, instances] of serving) await promote(app, instances);
  };
  /** A forge that was killed right after a swap had not come to it. */
  const promote = async (app: string, instances: readonly Instance[]): Promise<void> => {
    const running = instances.filter(({ isRunning }) => isRunning);
    await runtime.promote(running).catch((error: unknown) => log.warn({ err: error, app }, 'instances could not be set to restart'));
  };
  let adopting: Promise<void> | undefined;
  const adopt = async (): Promise<void> => {
    adopting ??= adoptNow();
    try {
      await adopting;
    } catch (error) {
      adopting = undefined;
      throw error;
    }
  };

  const passOver = async (name: string, signal: AbortSignal): Promise<void> => {
    using turn = queue.takeIfFree(name, 'the reconciler');
    if (!turn) return;
    await parts.settle(name);
    const app = findApp(store, name);
    const found = (await runtime.findInstances(name)).filter(({ containerId }) => !live.retiring.has(containerId));
    const wanted = app ? [wantedOf(app, found, parts)] : [];
    const actions = reconcile(wanted, found);
    // One that fails, such as a worker that does not start, must not keep the rest from being done and routed.
    const failures: unknown[] = [];
    for (const action of actions) await carryOut(action, parts, signal).catch((error: unknown) => failures.push(error));
    if (app) await route(app, parts);
    if (failures.length > 0) throw failures[0];
    if (app && actions.length > 0) log.info({ app: name, actions: actions.map(({ kind }) => kind) }, 'reconciled');
  };

  const pass = async (signal: AbortSignal): Promise<void> => {
    await adopt();
    const found = await runtime.findInstances();
    // Somebody else may have started one again.
    for (const instance of found) if (instance.isRunning) logs.follow(instance);
    const names = new Set([...findApps(store).map(({ name }) => name), ...found.map(({ app }) => app)]).values();
    const lane = async (): Promise<void> => {
      for (const name of names) {
        if (signal.aborted) return;
        await passOver(name, signal).catch((error: unknown) => log.warn({ err: error, app: name }, 'the app could not be reconciled; the next pass tries again'));
      }
    };
    // An app that takes its whole time to not get ready must not hold up all the others.
    await Promise.all(Array.from({ length: lanes }, lane));
  };

  return { adopt, pass, visit: passOver };
}

function wantedOf(app: App, found: readonly Instance[], parts: DeployParts): WantedApp {
  const release = app.currentVersion === undefined ? undefined : findRelease(parts.store, app.name, app.currentVersion);
  const places = release && !app.isStopped ? placesOf(formationOf(app, release.image.processTypes, defaultLimits(parts.config))) : [];
  const failed = found.filter(({ deploymentId }) => findDeployment(parts.store, deploymentId)?.failure !== undefined);
  return { app: app.name, version: release?.version, places, failedDeployments: new Set(failed.map(({ deploymentId }) => deploymentId)) };
}

function liveInstances(app: App, found: readonly Instance[], parts: DeployParts): readonly Instance[] {
  const own = found.filter((instance) => instance.app === app.name);
  const wanted = wantedOf(app, own, parts);
  const retired = reconcile([wanted], own).flatMap((action) => (action.kind === 'retire' ? [action.instance.containerId] : []));
  return own.filter((instance) => instance.version === wanted.version && !retired.includes(instance.containerId));
}

/** Makes the routes equal to what runs now, when they differ. */
async function route(app: App, parts: DeployParts): Promise<void> {
  const instances = liveInstances(app, await parts.runtime.findInstances(app.name), parts);
  const serving = parts.live.servingOf(app.name);
  const key = (one: Instance) => `${one.containerId} ${one.isRunning} ${one.address}`;
  const isSame = instances.length === serving.length && new Set([...instances, ...serving].map(key)).size === instances.length;
  if (!isSame) await parts.live.swap(app.name, instances);
}

async function carryOut(action: ReconcileAction, parts: DeployParts, signal: AbortSignal): Promise<void> {
  switch (action.kind) {
    case 'retire': {
      const app = findApp(parts.store, action.app);
      const options = app ? retireOptions(app, parts.config) : { drainTimeoutMs: 0, stopTimeoutMs: parts.config.stopTimeout };
      void parts.live.retire([action.instance], options);
      return;
    }
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
