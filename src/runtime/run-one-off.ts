/** One command of a person's in a fresh container of a release: same image, config, network and limits; gone afterwards. */
import { randomBytes } from 'node:crypto';
import { attachContainer, resizeTerminal, type Streams } from '../docker/attach.ts';
import { createContainer, inspectContainer, listContainers, removeContainer, startContainer, waitForExit } from '../docker/containers.ts';
import type { Release, Terminal } from '../domain.ts';
import { abortError, ForgeError } from '../errors.ts';
import { labels, oneOffType, oneOffTypes } from '../labels.ts';
import { withTimeout } from '../wait.ts';
import { oneOffSpec } from './container-spec.ts';
import { oneOffLimits } from './one-off-limits.ts';
import type { RuntimeParts } from './parts.ts';
import { followSize } from './terminal-size.ts';
import { prepareMounts, type ResolvedMount } from './volumes.ts';

export interface OneOffRequest extends Streams {
  readonly release: Release;
  /** Words of the command; they reach the program as they are. */
  readonly argv: readonly string[];
  /** Variables of this command alone, before the app's config. */
  readonly env: Readonly<Record<string, string>>;
  readonly terminal: Terminal | undefined;
  /** Process type whose limits it has; without one, those of `web`. */
  readonly limitsOf?: string | undefined;
  /** Aborts when the person left: the container is killed and removed. */
  readonly signal: AbortSignal;
}

const removalTimeoutMs = 30_000;

/** Resolves to the command's exit status. Throws `canceled` when the person left. */
export async function runOneOff(request: OneOffRequest, parts: RuntimeParts): Promise<number> {
  const { release, signal } = request;
  if (request.argv.length === 0) throw new ForgeError('invalid', 'no command to run', { hint: 'forge run <app> <command…>' });
  const id = randomBytes(4).toString('hex');
  const containerName = `${release.app}.${oneOffType}.${id}`;
  const mounts = await prepareMounts(release, parts, signal);
  using lease = await parts.networks.join(release.app, 1, signal);
  try {
    const containerId = await createContainer(parts.docker, specOf(request, { id, containerName, network: lease.network, address: lease.addresses[0] ?? '', mounts }, parts));
    return await runCreated(containerId, request, parts);
  } finally {
    lease[Symbol.dispose]();
    await withTimeout(removalTimeoutMs, 'the container was not removed in time', async () => {
      await removeContainer(parts.docker, containerName);
      await parts.networks.removeIfEmpty(release.app);
    }).catch((error: unknown) => parts.log.warn({ err: error, app: release.app, signal: signal.aborted }, 'a one-off container could not be removed; the next start of forge does it'));
  }
}

/** Removes one-off containers and tasks of an earlier start of forge: whoever asked for them is gone. */
export async function removeAbandoned({ docker, dataId, startId }: Pick<RuntimeParts, 'docker' | 'dataId' | 'startId'>): Promise<void> {
  const found = await Promise.all([...oneOffTypes].map((type) => listContainers(docker, [`${labels.data}=${dataId}`, `${labels.type}=${type}`])));
  // Jobs go on without anybody: they have an end of their own.
  const abandoned = found.flat().filter(({ Labels }) => !Labels[labels.job] && Labels[labels.start] !== startId);
  await Promise.all(abandoned.map(({ Id }) => removeContainer(docker, Id)));
}

function specOf({ release, argv, env, terminal, limitsOf }: OneOffRequest, place: { id: string; containerName: string; network: string; address: string; mounts: readonly ResolvedMount[] }, { config, dataId, startId }: RuntimeParts) {
  return oneOffSpec({
    ...place,
    ...{ release, argv, dataId, startId },
    deploymentId: oneOffType,
    env: terminal ? { TERM: release.config['TERM'] ?? 'xterm-256color', ...env } : env,
    hasTerminal: terminal !== undefined,
    limits: oneOffLimits(release, limitsOf, config),
    stopTimeoutMs: config.stopTimeout,
  });
}

async function runCreated(containerId: string, request: OneOffRequest, { docker }: RuntimeParts): Promise<number> {
  const { terminal, signal } = request;
  const attachment = await attachContainer(docker, containerId, { hasTerminal: terminal !== undefined, signal });
  try {
    if (signal.aborted) throw abortError(signal);
    await startContainer(docker, containerId);
    if (terminal) followSize(terminal, (size) => resizeTerminal(docker, containerId, size));
    const [status] = await Promise.all([waitForExit(docker, containerId, signal), attachment.carry(request)]);
    if (status === 137) await tellIfOutOfMemory(containerId, request, docker);
    return status;
  } finally {
    attachment.close();
  }
}

async function tellIfOutOfMemory(containerId: string, { stderr }: OneOffRequest, docker: RuntimeParts['docker']): Promise<void> {
  const { State, HostConfig } = await inspectContainer(docker, containerId);
  const limit = Math.round((HostConfig.Memory ?? 0) / 1024 / 1024);
  const message = State.OOMKilled ? `the command ran out of memory: it was killed at the limit of ${limit} MiB` : `the command was killed (status 137), as happens at the memory limit of ${limit} MiB`;
  if (stderr.writable) stderr.write(` !     ${message}\n`);
}
