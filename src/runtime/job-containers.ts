/** Containers of jobs: commands that nobody waits for. They outlive forge, and their output goes to the app's log. */
import { PassThrough } from 'node:stream';
import { attachContainer, type Streams } from '../docker/attach.ts';
import { createContainer, killContainer, listContainers, removeContainer, startContainer, stopContainer, waitForExit } from '../docker/containers.ts';
import type { Release } from '../domain.ts';
import { isForgeError } from '../errors.ts';
import { labels, oneOffType } from '../labels.ts';
import { delay, untilAborted, withTimeout } from '../wait.ts';
import { jobSpec } from './container-spec.ts';
import { oneOffLimits } from './one-off-limits.ts';
import type { RuntimeParts } from './parts.ts';
import { prepareMounts } from './volumes.ts';

export interface JobStart {
  /** Its place in the database; also the container's name and label. */
  readonly id: string;
  /** `cron.nightly`, as its lines show in the log. */
  readonly name: string;
  readonly release: Release;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Process type whose limits it has; `undefined`: those of `web`. */
  readonly limitsOf: string | undefined;
  /** Somebody reads along from the first byte; when the signal aborts they do not any more, and the job goes on. */
  readonly reader: (Pick<Streams, 'stdout' | 'stderr'> & { readonly signal: AbortSignal }) | undefined;
  readonly signal: AbortSignal;
}

export interface JobContainer {
  readonly id: string;
  readonly app: string;
  readonly name: string;
  readonly containerId: string;
  /** `created`: it never ran. */
  readonly state: 'created' | 'running' | 'ended';
}

export interface StartedJob extends JobContainer {
  /** Resolves when the reader has everything, or left. */
  readonly isRead: Promise<void>;
}

export interface JobContainers {
  /** Resolves once the command runs; on failure nothing of it is left. */
  start(request: JobStart): Promise<StartedJob>;
  /** Resolves with the exit status when every line it wrote is stored; waits across restarts of the engine. Throws `not-found` for a container that is gone. */
  ended(job: JobContainer, signal: AbortSignal): Promise<number>;
  /** SIGTERM, SIGKILL after the stop timeout. */
  stop(job: JobContainer): Promise<void>;
  remove(job: Pick<JobContainer, 'app' | 'containerId'>): Promise<void>;
  /** Nobody reads along with the app's any more: the engine does not let a container go while its reader stalls. */
  endReaders(app: string): void;
  /** All of this forge. */
  find(): Promise<readonly JobContainer[]>;
}

const engineTimeoutMs = 60_000;
const retryMs = 1_000;

export function createJobContainers(parts: RuntimeParts): JobContainers {
  const { docker, config } = parts;
  const readers = new Set<{ readonly app: string; readonly controller: AbortController }>();
  const startReadable = async (request: JobStart): Promise<StartedJob> => {
    const { reader } = request;
    if (!reader) return await start(request, parts, remove);
    const entry = { app: request.release.app, controller: new AbortController() };
    readers.add(entry);
    const starting = start({ ...request, reader: { ...reader, signal: AbortSignal.any([reader.signal, entry.controller.signal]) } }, parts, remove);
    void starting.then(async ({ isRead }) => await isRead).catch(() => undefined).finally(() => readers.delete(entry));
    return await starting;
  };
  const remove = async ({ app, containerId }: Pick<JobContainer, 'app' | 'containerId'>): Promise<void> =>
    await withTimeout(engineTimeoutMs, 'the container of a job was not removed in time', async () => {
      await removeContainer(docker, containerId);
      await parts.networks.removeIfEmpty(app);
    });
  return {
    start: startReadable,
    ended: (job, signal) => ended(job, signal, parts),
    stop: async ({ containerId }) => {
      const timeoutMs = config.stopTimeout;
      try {
        await withTimeout(timeoutMs + engineTimeoutMs, 'the job did not stop in time', (signal) => stopContainer(docker, containerId, { timeoutMs, signal }));
      } catch (error) {
        if (isForgeError(error) && error.code === 'not-found') return;
        await killContainer(docker, containerId);
      }
    },
    remove,
    endReaders: (app) => {
      for (const reader of readers) if (reader.app === app) reader.controller.abort();
    },
    find: () => find(parts),
  };
}

async function start(request: JobStart, parts: RuntimeParts, remove: JobContainers['remove']): Promise<StartedJob> {
  const { id, name, release, argv, env, signal } = request;
  const { app } = release;
  const containerName = `${app}.${oneOffType}.${id}`;
  const limits = oneOffLimits(release, request.limitsOf, parts.config);
  const mounts = await prepareMounts(release, parts, signal);
  using lease = await parts.networks.join(app, 1, signal);
  const place = { containerName, network: lease.network, address: lease.addresses[0] ?? '', mounts, dataId: parts.dataId, deploymentId: oneOffType };
  const spec = jobSpec({ ...place, id, name, release, argv, env, limits, stopTimeoutMs: parts.config.stopTimeout });
  try {
    const containerId = await createContainer(parts.docker, spec);
    const isRead = await readAlong(containerId, request, parts);
    await startContainer(parts.docker, containerId);
    return { id, app, name, containerId, state: 'running', isRead: isRead() };
  } catch (error) {
    lease[Symbol.dispose]();
    await remove({ app, containerId: containerName }).catch((again: unknown) => parts.log.warn({ err: again, app }, 'a job that did not start could not be removed; the next start of forge does it'));
    throw error;
  }
}

/** Attached before the start, so that nothing is missed. */
async function readAlong(containerId: string, { reader }: JobStart, { docker, log }: RuntimeParts): Promise<() => Promise<void>> {
  if (!reader) return async () => undefined;
  const attachment = await attachContainer(docker, containerId, { hasTerminal: false, signal: reader.signal });
  // Its input never ends: the engine would take that for the end of the reading.
  return async () => {
    // A reader that takes nothing is not waited for once it has left.
    await untilAborted(attachment.carry({ ...reader, stdin: new PassThrough() }), reader.signal).catch((error: unknown) => {
      if (!reader.signal.aborted) log.warn({ err: error, containerId }, 'the output of a job could not be shown to its end; it is in the log');
    });
  };
}

async function ended(job: JobContainer, signal: AbortSignal, { docker, logs, log }: RuntimeParts): Promise<number> {
  logs.follow(job);
  for (;;) {
    try {
      const status = await waitForExit(docker, job.containerId, signal);
      await logs.settle(job.containerId).catch((error: unknown) => log.warn({ err: error, job: job.id }, 'the last lines of a job may be missing from the log'));
      return status;
    } catch (error) {
      if (signal.aborted || (isForgeError(error) && error.code === 'not-found')) throw error;
    }
    await delay(retryMs, signal);
  }
}

async function find({ docker, dataId }: RuntimeParts): Promise<readonly JobContainer[]> {
  const found = await withTimeout(engineTimeoutMs, 'the Docker Engine did not list its containers in time', (signal) => listContainers(docker, [`${labels.data}=${dataId}`, labels.job], signal));
  return found.filter(({ Labels }) => Labels[labels.job]).map(({ Id, Labels, State }) => ({
    id: Labels[labels.job] ?? '',
    app: Labels[labels.app] ?? '',
    name: Labels[labels.instance] ?? '',
    containerId: Id,
    state: State === 'created' ? 'created' : State === 'running' || State === 'paused' || State === 'restarting' ? 'running' : 'ended',
  }));
}
