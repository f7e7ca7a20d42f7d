/** One task of a deploy in a fresh container of its release; what it writes is read live and kept in the app's log. */
import { randomBytes } from 'node:crypto';
import { defaultLimits } from '../config.ts';
import { attachContainer, type AttachedContainer } from '../docker/attached-container.ts';
import { commitContainer } from '../docker/commit-container.ts';
import { createContainer, inspectContainer, startContainer, waitForExit } from '../docker/containers.ts';
import { inspectImage } from '../docker/images.ts';
import type { ProcessCommand, Release } from '../domain.ts';
import { abortError, ForgeError } from '../errors.ts';
import { labels, type TaskType } from '../labels.ts';
import { createLineSplitter } from '../lines-of.ts';
import type { Report } from '../report.ts';
import { untilAborted, withDeadline, withTimeout } from '../wait.ts';
import { instanceSpec } from './container-spec.ts';
import type { Lease } from './network.ts';
import type { RuntimeParts } from './parts.ts';
import { discard } from './retire.ts';
import { prepareMounts } from './volumes.ts';

export interface TaskRequest {
  /** Image, config, formation and settings that it runs with. */
  readonly release: Release;
  readonly task: TaskType;
  /** How the task starts in an image with this entrypoint. */
  readonly commandFor: (imageEntrypoint: readonly string[]) => ProcessCommand;
  readonly deploymentId: string;
  readonly timeoutMs: number;
  /** `name:tag` of an image in which its changes are kept. Such a task sees no volumes. */
  readonly keepAs?: string;
  readonly report: Report;
  /** Aborts: the container is killed and removed. */
  readonly signal: AbortSignal;
}

/** What an aborted task may hold up its deploy with; what is not gone by then goes on being removed. */
const abandonTimeoutMs = 1_500;
const removalTimeoutMs = 30_000;

/** Resolves, when it ended with status 0, to the id of the kept image. Throws `failed` with the status, `timeout` naming the limit, or the signal's reason. */
export async function runTask(request: TaskRequest, parts: RuntimeParts): Promise<string | undefined> {
  const { release, task } = request;
  const limit = `the ${task} task did not end within ${request.timeoutMs / 1000} s (setting taskTimeout)`;
  using signal = withDeadline(request.timeoutMs, limit, request.signal);
  const mounts = request.keepAs === undefined ? await prepareMounts(release, parts, signal) : [];
  const { entrypoint } = await inspectImage(parts.docker, release.image.reference);
  const containerName = `${release.app}.${task}.${randomBytes(4).toString('hex')}`;
  using lease = await parts.networks.join(release.app, 1, signal);
  let containerId = containerName;
  try {
    containerId = await createContainer(parts.docker, specOf(request, { containerName, lease, mounts, imageEntrypoint: entrypoint }, parts));
    await run(containerId, { ...request, signal }, parts);
    return await keepChanges(containerId, { ...request, signal }, parts);
  } finally {
    await cleanUp({ containerId, request, lease, isAborted: signal.aborted }, parts);
  }
}

interface Place {
  readonly containerName: string;
  readonly lease: Lease;
  readonly mounts: Awaited<ReturnType<typeof prepareMounts>>;
  readonly imageEntrypoint: readonly string[];
}

function specOf({ release, task, commandFor, deploymentId }: TaskRequest, { containerName, lease, mounts, imageEntrypoint }: Place, { config, dataId, startId }: RuntimeParts) {
  return instanceSpec({
    ...{ release, deploymentId, dataId, startId, containerName, mounts, imageEntrypoint },
    type: task,
    ordinal: 1,
    network: lease.network,
    address: lease.addresses[0] ?? '',
    command: commandFor(imageEntrypoint),
    limits: release.formation['web']?.limits ?? Object.values(release.formation)[0]?.limits ?? defaultLimits(config),
    stopTimeoutMs: config.stopTimeout,
  });
}

async function run(containerId: string, { task, release, report, signal }: TaskRequest, { docker, logs }: RuntimeParts): Promise<void> {
  const attached = await attachContainer(docker, { containerId, hasStdin: false, signal });
  const detach = (): void => attached.detach();
  signal.addEventListener('abort', detach, { once: true });
  try {
    if (signal.aborted) throw abortError(signal);
    await startContainer(docker, containerId);
    logs.follow({ app: release.app, name: `${task}.1`, containerId });
    const [status] = await Promise.all([waitForExit(docker, containerId, signal), show(attached.frames, report, signal)]);
    if (signal.aborted) throw abortError(signal);
    if (status !== 0) throw await failureOf(containerId, { task, app: release.app, status }, docker);
  } finally {
    signal.removeEventListener('abort', detach);
    detach();
  }
}

/** Each stream in lines of its own: what one has begun is not finished by the other. */
async function show(frames: AttachedContainer['frames'], report: Report, signal: AbortSignal): Promise<void> {
  const splitters = { stdout: createLineSplitter(), stderr: createLineSplitter() };
  try {
    for await (const { stream, payload } of frames) {
      for (const line of splitters[stream].push(payload)) report.body(line);
      // A pusher who has stopped reading holds the task up, but not its end.
      await untilAborted(report.flushed(), signal);
    }
  } catch (error) {
    // Whoever waits for its end says why it is over.
    if (!signal.aborted) throw error;
  }
  for (const line of [...splitters.stdout.end(), ...splitters.stderr.end()]) report.body(line);
}

async function failureOf(containerId: string, { task, app, status }: { readonly task: TaskType; readonly app: string; readonly status: number }, docker: RuntimeParts['docker']): Promise<ForgeError> {
  // Gone when somebody else removed it, which is why it ended then.
  const found = await inspectContainer(docker, containerId).catch(() => undefined);
  const limit = Math.round((found?.HostConfig.Memory ?? 0) / 1024 / 1024);
  if (found?.State.OOMKilled) return new ForgeError('failed', `the ${task} task ran out of memory: it was killed at its limit of ${limit} MiB`, { hint: `tasks have the limits of web: forge limits:set ${app} web --memory ${limit * 2}M` });
  return new ForgeError('failed', `the ${task} task failed with status ${status}`, { hint: hintOf(status, limit) });
}

function hintOf(status: number, limit: number): string {
  if (status === 127) return 'status 127: the command was not found in the image';
  if (status === 126) return 'status 126: the command may not be executed; check its mode';
  if (status === 137) return `status 137: it was killed${limit === 0 ? '' : `, as happens at its memory limit of ${limit} MiB`}`;
  return 'its output is above';
}

async function keepChanges(containerId: string, { release, keepAs, signal }: TaskRequest, { docker, dataId }: RuntimeParts): Promise<string | undefined> {
  if (keepAs === undefined) return undefined;
  const own = { [labels.app]: release.app, [labels.data]: dataId };
  return await commitContainer(docker, { containerId, base: release.image.reference, reference: keepAs, labels: own, signal });
}

interface Ended {
  /** Or its name, when it is not known whether it was made. */
  readonly containerId: string;
  readonly request: TaskRequest;
  readonly lease: Lease;
  readonly isAborted: boolean;
}

/** Never throws: what is left is removed at the next start of forge. */
async function cleanUp({ containerId, request, lease, isAborted }: Ended, parts: RuntimeParts): Promise<void> {
  const { app } = request.release;
  const remove = async (): Promise<void> => {
    await discard({ app, name: `${request.task}.1`, containerId }, parts);
    lease[Symbol.dispose]();
    await parts.networks.removeIfEmpty(app);
  };
  const removed = withTimeout(removalTimeoutMs, 'the container was not removed in time', remove).catch((error: unknown) =>
    parts.log.warn({ err: error, app, task: request.task }, 'the container of a task could not be removed; the next start of forge does it'),
  );
  if (isAborted) await withTimeout(abandonTimeoutMs, 'the removal goes on', () => removed).catch(() => undefined);
  else await removed;
}
