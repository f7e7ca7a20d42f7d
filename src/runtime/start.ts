/** Starts the instances of a release beside the old ones: all of them become ready, or none stays. */
import { randomBytes } from 'node:crypto';
import { defaultLimits } from '../config.ts';
import { createContainer, removeContainer, startContainer, waitForExit } from '../docker/containers.ts';
import { inspectImage } from '../docker/images.ts';
import type { Instance, ProcessCommand, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Report } from '../report.ts';
import { untilAborted, withTimeout } from '../wait.ts';
import { checksOf, isGate, servingType } from './checks.ts';
import { instanceSpec } from './container-spec.ts';
import { exitFailure, withLastLines } from './failure.ts';
import { findListeners } from './find-listeners.ts';
import type { Lease } from './network.ts';
import type { RuntimeParts } from './parts.ts';
import { placesOf, type Place } from './places.ts';
import { askOf, placeOf } from './probe.ts';
import { untilReady } from './readiness.ts';
import { discard } from './retire.ts';
import { prepareMounts, type ResolvedMount } from './volumes.ts';

export interface StartRequest {
  readonly release: Release;
  readonly deploymentId: string;
  /** Only these; without it every place of the release's formation. */
  readonly places?: readonly Place[];
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** The engine's own share of a start: create and start. */
const engineTimeoutMs = 60_000;

/**
 * Resolves when every instance is ready. Throws `failed` when one ended, cannot start or listens where nobody asks,
 * `timeout` when one did not get ready, each with its last lines; everything started is gone by then.
 */
export async function startRelease(request: StartRequest, parts: RuntimeParts): Promise<readonly Instance[]> {
  const { release, signal } = request;
  const places = request.places ?? placesOf(release.formation);
  if (places.length === 0) return [];
  const starts = places.map((place): Start => ({ place, command: commandOf(release, place.type), containerName: nameOf(release, place) }));
  const running: Promise<Instance>[] = [];
  const image = inspectImage(parts.docker, release.image.reference);
  image.catch(() => undefined);
  const mounts = await prepareMounts(release, parts, signal);
  using lease = await parts.networks.join(release.app, places.length, signal);
  try {
    const imageEntrypoint = (await image).entrypoint;
    running.push(...starts.map((start, index) => startOne({ start, request, lease, index, imageEntrypoint, mounts }, parts)));
    const instances = await withTimeout(engineTimeoutMs, 'the Docker Engine did not start the containers in time', () => Promise.all(running), signal);
    parts.faults?.reach('containers-started');
    await allReady(instances, request, parts);
    return instances;
  } catch (error) {
    await cleanUp({ starts, running, lease, app: release.app }, parts);
    throw error;
  }
}

interface Start {
  readonly place: Place;
  readonly command: ProcessCommand;
  readonly containerName: string;
}

/** Unique, so that a container which is still being removed is never in the way. */
const nameOf = ({ app }: Release, { type, ordinal }: Place): string => `${app}.${type}.${ordinal}-${randomBytes(4).toString('hex')}`;

function commandOf({ image, app }: Release, type: string): ProcessCommand {
  const command = image.processTypes[type];
  if (command) return command;
  throw new ForgeError('invalid', `${app} has no process type ${JSON.stringify(type)}`, { hint: `its process types: ${Object.keys(image.processTypes).join(', ')}` });
}

interface StartOne {
  readonly start: Start;
  readonly request: StartRequest;
  readonly lease: Lease;
  readonly index: number;
  readonly imageEntrypoint: readonly string[];
  readonly mounts: readonly ResolvedMount[];
}

async function startOne({ start, request, lease, index, imageEntrypoint, mounts }: StartOne, parts: RuntimeParts): Promise<Instance> {
  const { release, deploymentId } = request;
  const { place, command, containerName } = start;
  const address = lease.addresses[index] ?? '';
  const limits = release.formation[place.type]?.limits ?? defaultLimits(parts.config);
  const spec = instanceSpec({
    ...{ release, deploymentId, ...place, command, containerName, limits, imageEntrypoint, mounts, address },
    dataId: parts.dataId,
    network: lease.network,
    stopTimeoutMs: parts.config.stopTimeout,
  });
  const containerId = await createContainer(parts.docker, spec);
  parts.faults?.reach('containers-created');
  await startContainer(parts.docker, containerId);
  const name = `${place.type}.${place.ordinal}`;
  const instance = { name, app: release.app, version: release.version, ...place, containerId, address, port: release.port, isRunning: true, deploymentId };
  parts.logs.follow(instance);
  return instance;
}

/** The first that ends or fails decides; until all are ready, every one is watched. */
async function allReady(instances: readonly Instance[], request: StartRequest, parts: RuntimeParts): Promise<void> {
  const watching = new AbortController();
  const signal = AbortSignal.any([request.signal, watching.signal]);
  const exits = instances.map((instance) => failOnExit(instance, parts, signal));
  for (const exit of exits) exit.catch(() => undefined);
  try {
    await untilAborted(Promise.race([Promise.all(instances.map((instance) => oneReady(instance, { ...request, signal }, parts))), ...exits]), request.signal);
  } finally {
    watching.abort();
  }
}

async function failOnExit(instance: Instance, { docker }: RuntimeParts, signal: AbortSignal): Promise<never> {
  await waitForExit(docker, instance.containerId, signal);
  throw await exitFailure(docker, instance);
}

/** Passes every check that gates a start, all of them asked at the same time. */
async function oneReady(instance: Instance, { release, signal, report }: StartRequest, { docker, config, timings }: RuntimeParts): Promise<void> {
  const { type, name, containerId } = instance;
  if (release.settings.uncheckedTypes.includes(type)) return;
  const gates = checksOf(release, type, { ...config, steadyMs: timings.steadyMs }).filter(isGate);
  const place = placeOf(instance, release, { docker, domain: config.domain });
  const listeners = () => findListeners(docker, instance, signal);
  try {
    await Promise.all(gates.map((check) => untilReady({ app: release.app, name, type, check, port: release.port, ask: askOf(check, place), timings, listeners, signal })));
  } catch (error) {
    throw await withLastLines(docker, containerId, error);
  }
  if (type === servingType) report.body(`${name} is ready`);
}

interface Unfinished {
  readonly starts: readonly Start[];
  readonly running: readonly Promise<Instance>[];
  readonly lease: Lease;
  readonly app: string;
}

const cleanUpTimeoutMs = 30_000;

/** What cannot be removed now carries labels that the reconciler finds. */
async function cleanUp({ starts, running, lease, app }: Unfinished, parts: RuntimeParts): Promise<void> {
  const remove = async (): Promise<void> => {
    const settled = await Promise.allSettled(running);
    await Promise.allSettled(settled.map(async (outcome, index) => {
      if (outcome.status === 'fulfilled') await discard(outcome.value, parts);
      else await removeContainer(parts.docker, starts[index]?.containerName ?? '');
    }));
    lease[Symbol.dispose]();
    await parts.networks.removeIfEmpty(app);
  };
  try {
    await withTimeout(cleanUpTimeoutMs, 'the failed instances could not be removed in time', remove);
  } catch (error) {
    parts.log.warn({ err: error, app }, 'what a failed start left could not be removed; the reconciler tries again');
  }
}
