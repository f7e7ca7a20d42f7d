/** Ends instances: SIGTERM, SIGKILL after the stop timeout, the last log lines stored, the container removed. */
import { killContainer, removeContainer, restartOnCrash, startContainer, stopContainer } from '../docker/containers.ts';
import type { Instance } from '../domain.ts';
import { withTimeout } from '../wait.ts';
import type { RuntimeParts } from './parts.ts';

export interface RetireOptions {
  /** Time between SIGTERM and SIGKILL; 0 kills at once. */
  readonly stopTimeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface RetireFailure {
  readonly instance: Instance;
  readonly error: unknown;
}

/** What the engine may take beyond the stop timeout. */
const engineTimeoutMs = 30_000;
const settleTimeoutMs = 10_000;

/** Stops and removes all of them at the same time. Never throws: what failed is logged, returned and found again by its labels. */
export async function retire(instances: readonly Instance[], options: RetireOptions, parts: RuntimeParts): Promise<readonly RetireFailure[]> {
  const outcomes = await Promise.all(instances.map(async (instance): Promise<RetireFailure | undefined> => {
    try {
      await retireOne(instance, options, parts);
      return undefined;
    } catch (error) {
      parts.log.warn({ err: error, app: instance.app, instance: instance.name }, 'an instance could not be retired');
      return { instance, error };
    }
  }));
  for (const app of new Set(instances.map((instance) => instance.app))) {
    await parts.networks.removeIfEmpty(app).catch((error: unknown) => parts.log.warn({ err: error, app }, 'the app’s network could not be removed'));
  }
  return outcomes.filter((outcome) => outcome !== undefined);
}

/** Kills and removes one that never served; its last lines are stored. */
export async function discard(instance: Pick<Instance, 'app' | 'name' | 'containerId'>, parts: RuntimeParts): Promise<void> {
  await killContainer(parts.docker, instance.containerId);
  await settle(instance, parts);
  await removeContainer(parts.docker, instance.containerId);
}

/** From now on the engine starts them again when they end by themselves, with growing pauses. */
export async function promote(instances: readonly Instance[], { docker }: RuntimeParts): Promise<void> {
  await Promise.all(instances.map(({ containerId }) => restartOnCrash(docker, containerId)));
}

/** Starts an instance whose container is there but does not run. */
export async function restartInstance(instance: Instance, signal: AbortSignal | undefined, parts: RuntimeParts): Promise<void> {
  const start = async (): Promise<void> => {
    await restartOnCrash(parts.docker, instance.containerId);
    await startContainer(parts.docker, instance.containerId);
  };
  await withTimeout(engineTimeoutMs, `the Docker Engine did not start ${instance.name} in time`, start, signal);
  parts.logs.follow(instance);
}

async function retireOne(instance: Instance, { stopTimeoutMs, signal }: RetireOptions, parts: RuntimeParts): Promise<void> {
  const stop = (limit: AbortSignal) => stopContainer(parts.docker, instance.containerId, { timeoutMs: stopTimeoutMs, signal: limit });
  try {
    await withTimeout(stopTimeoutMs + engineTimeoutMs, `the Docker Engine did not stop ${instance.name} in time`, stop, signal);
  } catch (error) {
    if ((error as { readonly code?: string }).code === 'not-found') return;
    throw error;
  }
  await settle(instance, parts);
  await withTimeout(engineTimeoutMs, `the Docker Engine did not remove ${instance.name} in time`, () => removeContainer(parts.docker, instance.containerId));
}

async function settle({ containerId, app, name }: Pick<Instance, 'app' | 'name' | 'containerId'>, { logs, log }: RuntimeParts): Promise<void> {
  try {
    await withTimeout(settleTimeoutMs, `the last log lines of ${name} were not stored in time`, () => logs.settle(containerId));
  } catch (error) {
    log.warn({ err: error, app, instance: name }, 'the last log lines of an instance may be missing');
  }
}
