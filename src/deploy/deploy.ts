/**
 * A push, from its source to a release that serves. Read it top down: the story is `deploy`, the steps follow in its order.
 * Whatever fails before the swap leaves the old release serving; what fails after it swaps back.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Builders } from '../build/build-request.ts';
import { detect } from '../build/detect.ts';
import { checkFreeSpace, watchFreeSpace } from '../build/free-space.ts';
import { receiveSource } from '../build/source.ts';
import { defaultLimits, type Config } from '../config.ts';
import { emptyAppFile } from '../app-file.ts';
import type { App, Image, Instance, Plan, Release, Source } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { portOf } from '../runtime/ports.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { findApp, updateApp } from '../store/apps.ts';
import { getConfig } from '../store/app-config.ts';
import { createRelease, setCurrentRelease } from '../store/releases.ts';
import { inTransaction, type Store } from '../store/store.ts';
import type { Attempt, AttemptRequest, Attempts } from './attempt.ts';
import { formationOf } from './formation.ts';
import type { Live } from './live.ts';
import type { Queue } from './queue.ts';
import type { Slots } from './slots.ts';

export interface DeployRequest extends AttemptRequest {
  /** Opens the tar of the source, once, when the turn has come; `undefined` for a prebuilt image. */
  openSource?(signal: AbortSignal): Promise<Readable>;
  /** Throws when the request is stale: something else went live while it waited. */
  verify(): Promise<void>;
  /** After the swap: makes the caller's side final (the git ref has moved) or throws; forge then swaps back. */
  confirm(): Promise<void>;
}

export interface DeployParts {
  readonly store: Store;
  readonly config: Config;
  readonly runtime: Runtime;
  readonly builders: Builders;
  readonly queue: Queue;
  readonly builds: Slots;
  readonly live: Live;
  readonly attempts: Attempts;
  /** Directories whose disks must have room before a build. */
  readonly diskDirectories: readonly string[];
  readonly log: Log;
  urlOf(app: string): string;
}

export async function deploy(request: DeployRequest, parts: DeployParts): Promise<Release> {
  const attempt = parts.attempts.open(request);
  try {
    using _turn = await parts.queue.take(request.app, turnRequest(attempt, true));
    await request.verify();
    const image = await buildImage(request, attempt, parts);
    const release = makeRelease(image, request, attempt, parts);
    const instances = await startInstances(release, attempt, parts);
    // Whoever pushes to a stopped app wants it to run.
    await goLive({ release, instances, isStopped: false, attempt, parts, confirm: () => request.confirm() });
    return release;
  } catch (error) {
    throw await attempt.fail(error);
  }
}

export function turnRequest(attempt: Attempt, isReplaceable: boolean) {
  const onWait = (holder: string) => attempt.report.step(`Waiting for ${holder} of this app to end`);
  return { holder: `deployment ${attempt.id}`, isReplaceable, signal: attempt.signal, onWait };
}

async function buildImage(request: DeployRequest, attempt: Attempt, parts: DeployParts): Promise<Image> {
  await checkFreeSpace({ directories: parts.diskDirectories, minFreeBytes: parts.config.minFreeBytes });
  using _slot = await parts.builds.take(attempt.signal, (place) => attempt.report.step(`Waiting for a free build slot (place ${place} in line)`));
  attempt.enter('building');
  const app = appOf(request.app, parts.store);
  const tarPath = join(parts.config.data, 'tmp', `${attempt.id}.tar`);
  try {
    const source = await receive(request, tarPath, attempt, parts.config);
    const plan: Plan = request.origin.kind === 'image' ? imagePlan : detect(source, app.settings);
    for (const warning of plan.warnings) attempt.report.body(`warning: ${warning}`);
    attempt.report.step(`Building ${app.name} with ${plan.builder}: ${plan.reason}`);
    using space = watchFreeSpace({ directories: parts.diskDirectories, minFreeBytes: parts.config.minFreeBytes / 2, signal: attempt.signal });
    return await parts.builders[plan.builder].build({
      app: app.name,
      deploymentId: attempt.id,
      source,
      plan,
      settings: app.settings,
      config: getConfig(parts.store, app.name),
      origin: request.origin,
      report: attempt.report,
      signal: space.signal,
    });
  } finally {
    await rm(tarPath, { force: true });
  }
}

const imagePlan: Plan = { builder: 'image', reason: 'a prebuilt image was asked for', procfile: new Map(), warnings: [], appFile: emptyAppFile };

async function receive(request: DeployRequest, path: string, attempt: Attempt, config: Config): Promise<Source> {
  if (!request.openSource) return { tarPath: path, sizeBytes: 0, paths: new Set(), files: new Map() };
  const stream = await request.openSource(attempt.signal);
  const limits = { maxBytes: config.sourceMaxBytes, maxEntries: config.sourceMaxEntries };
  return await receiveSource(stream, { path, limits, signal: attempt.signal });
}

function makeRelease(image: Image, request: DeployRequest, attempt: Attempt, parts: DeployParts): Release {
  const commit = request.origin.kind === 'git' ? request.origin.commit : undefined;
  return recordRelease({ app: appOf(request.app, parts.store), image, commit, attempt, request, parts });
}

/** Numbers and stores a release of this image with the app's config and settings as they are now. */
export function recordRelease(draft: {
  readonly app: App;
  readonly image: Image;
  readonly commit: string | undefined;
  readonly attempt: Attempt;
  readonly request: Pick<AttemptRequest, 'actor' | 'reason'>;
  readonly parts: DeployParts;
}): Release {
  const { app, image, commit, attempt, request, parts } = draft;
  const { config, store } = parts;
  const release = createRelease(store, {
    app: app.name,
    image,
    ...releaseSettings(app, image, parts),
    appFile: emptyAppFile,
    formation: formationOf(app, image.processTypes, defaultLimits(config)),
    reason: request.reason,
    actor: request.actor.name,
    commit,
  });
  attempt.enter('releasing', release.version);
  return release;
}

/** What a release made now would take from the app. */
export const releaseSettings = (app: App, image: Image, { store }: Pick<DeployParts, 'store'>): Pick<Release, 'config' | 'port' | 'settings'> => ({
  config: getConfig(store, app.name),
  port: portOf(app.settings, image),
  settings: app.settings,
});

export async function startInstances(release: Release, attempt: Attempt, parts: DeployParts): Promise<readonly Instance[]> {
  attempt.enter('starting');
  const wanted = Object.entries(release.formation).flatMap(([type, { quantity }]) => (quantity > 0 ? [`${type}=${quantity}`] : []));
  attempt.report.step(`Starting v${release.version} (${wanted.join(' ') || 'nothing scaled up'})`);
  return await parts.runtime.startRelease({ release, deploymentId: attempt.id, signal: attempt.signal, report: attempt.report });
}

export interface GoLive {
  readonly release: Release;
  readonly instances: readonly Instance[];
  /** Whether the app stands still from now on: then there are no instances. */
  readonly isStopped: boolean;
  readonly attempt: Attempt;
  readonly parts: DeployParts;
  confirm(): Promise<void>;
}

/** Swap, tell, confirm, retire. Everything started is gone again when it throws, and the old release serves. */
export async function goLive({ release, instances, isStopped, attempt, parts, confirm }: GoLive): Promise<void> {
  const { app, version } = release;
  const { store, live, log } = parts;
  const before = appOf(app, store);
  let replaced: readonly Instance[] | undefined;
  try {
    attempt.commit();
    makeCurrent(app, { version, isStopped }, store);
    replaced = await live.swap(app, instances);
    // The engine may restart what crashes from here on; it need not be waited for.
    const promoted = parts.runtime.promote(instances).catch((error: unknown) => log.warn({ err: error, app }, 'instances could not be set to restart'));
    reportLive(release, attempt, parts);
    await confirm();
    await promoted;
    await attempt.succeed();
    void live.retire(replaced, retireOptions(appOf(app, store), parts.config));
  } catch (error) {
    const { currentVersion } = before;
    attempt.report.problem(currentVersion === undefined ? 'The release is taken back.' : `The release is taken back: v${currentVersion} goes on serving.`);
    await takeBack({ before, instances, replaced }, parts).catch((again: unknown) => log.error({ err: again, app }, 'the release could not be taken back at once; the reconciler does it'));
    throw error;
  }
}

/** One transaction: after a crash the app has all of it or nothing. */
function makeCurrent(app: string, { version, isStopped }: { readonly version: number | undefined; readonly isStopped: boolean }, store: Store): void {
  inTransaction(store, () => {
    setCurrentRelease(store, app, version);
    updateApp(store, app, { isStopped });
  });
}

interface TakeBack {
  readonly before: App;
  readonly instances: readonly Instance[];
  /** What served before; `undefined` when the swap was not made. */
  readonly replaced: readonly Instance[] | undefined;
}

async function takeBack({ before, instances, replaced }: TakeBack, { store, live, runtime, config }: DeployParts): Promise<void> {
  makeCurrent(before.name, { version: before.currentVersion, isStopped: before.isStopped }, store);
  if (replaced === undefined) return void (await runtime.retire(instances, { stopTimeoutMs: 0 }));
  await live.swap(before.name, replaced);
  // They may have requests in flight: these finish, as at any other swap.
  await live.retire(instances, { ...retireOptions(before, config), stopTimeoutMs: 0 });
}

function reportLive(release: Release, attempt: Attempt, parts: DeployParts): void {
  if ('web' in release.formation) {
    attempt.report.done('Application deployed:');
    attempt.report.body(parts.urlOf(release.app));
  } else {
    attempt.report.done(`Application deployed: v${release.version} (no web process, so no URL)`);
  }
}

export const retireOptions = ({ settings }: App, config: Config) => ({
  drainTimeoutMs: settings.drainTimeoutMs ?? config.drainTimeout,
  stopTimeoutMs: settings.stopTimeoutMs ?? config.stopTimeout,
});

/** The app, or `not-found`: it may have been destroyed while the attempt waited. */
export function appOf(name: string, store: Store): App {
  const app = findApp(store, name);
  if (!app) throw new ForgeError('not-found', `there is no app ${name}`, { hint: 'apps:list shows the apps you may see' });
  return app;
}

