/** Containers of the engine: create, start, stop, remove, look at. Removing what is gone and stopping what is down succeed. */
import type { ContainerCreateOptions, ContainerInfo, ContainerInspectInfo } from 'dockerode';
import { ForgeError, isForgeError } from '../errors.ts';
import { delay } from '../wait.ts';
import { boundedCall } from './bounded-call.ts';
import { engineCall, type Docker } from './connect.ts';
import { readFrames } from './stream-frames.ts';

/** Longest log line that is quoted to people. */
const maxLineLength = 2000;
const lookEveryMs = 2_000;

export async function createContainer(docker: Docker, options: ContainerCreateOptions): Promise<string> {
  const container = await boundedCall(`create ${options.name ?? 'a container'}`, (abortSignal) => docker.createContainer({ ...options, abortSignal }));
  return container.id;
}

export async function startContainer(docker: Docker, id: string): Promise<void> {
  await unlessNotModified(boundedCall('start the container', (abortSignal) => docker.getContainer(id).start({ abortSignal }) as Promise<unknown>));
}

/** SIGTERM (or the image's STOPSIGNAL), then SIGKILL after `timeoutMs`; the container does not restart afterwards. */
export async function stopContainer(docker: Docker, id: string, { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<void> {
  const t = Math.ceil(timeoutMs / 1000);
  await unlessNotModified(engineCall('stop the container', docker.getContainer(id).stop({ t, abortSignal: signal }) as Promise<unknown>, signal));
}

/** SIGKILL; nothing happens to a container that does not run. */
export async function killContainer(docker: Docker, id: string): Promise<void> {
  await ignoring(['not-found', 'conflict'], boundedCall('kill the container', (abortSignal) => docker.getContainer(id).kill({ abortSignal }) as Promise<unknown>));
}

/** Kills and removes, with its anonymous volumes. `id` may be a name. */
export async function removeContainer(docker: Docker, id: string): Promise<void> {
  const removal = boundedCall('remove the container', (abortSignal) => docker.getContainer(id).remove({ force: true, v: true, abortSignal }) as Promise<unknown>);
  // A conflict says that somebody else's removal is under way.
  await ignoring(['not-found', 'conflict'], removal);
}

export async function inspectContainer(docker: Docker, id: string): Promise<ContainerInspectInfo> {
  return await boundedCall('inspect the container', (abortSignal) => docker.getContainer(id).inspect({ abortSignal }));
}

/** Running and stopped containers that carry all of these `key=value` labels. */
export async function listContainers(docker: Docker, labels: readonly string[], signal?: AbortSignal): Promise<ContainerInfo[]> {
  return await boundedCall('list containers', (abortSignal) => docker.listContainers({ all: true, filters: { label: [...labels] }, abortSignal }), { signal });
}

/** Resolves with the exit status once the container does not run; at once if it already ended. */
export async function waitForExit(docker: Docker, id: string, signal: AbortSignal): Promise<number> {
  const over = new AbortController();
  const abortSignal = AbortSignal.any([signal, over.signal]);
  const call = docker.getContainer(id).wait({ condition: 'not-running', abortSignal }) as Promise<{ readonly StatusCode: number }>;
  const told = engineCall('wait for the container', call, signal).then(({ StatusCode }) => StatusCode);
  const seen = lookForExit(docker, id, abortSignal);
  for (const one of [told, seen]) one.catch(() => undefined);
  try {
    return await Promise.race([told, seen]);
  } finally {
    over.abort();
  }
}

/** The client of the engine does not notice when the engine is killed while it answers, and would wait for ever. */
async function lookForExit(docker: Docker, id: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    await delay(lookEveryMs, signal);
    const { State } = await inspectContainer(docker, id);
    if (!State.Running) return State.ExitCode;
  }
}

/** From now on the engine starts the container again when it ends by itself, with growing pauses. */
export async function restartOnCrash(docker: Docker, id: string): Promise<void> {
  await boundedCall('set the restart policy', (abortSignal) => docker.getContainer(id).update({ RestartPolicy: { Name: 'unless-stopped' }, abortSignal }) as Promise<unknown>);
}

/** The last lines that the container wrote, both streams together as the engine kept them. */
export async function tailContainer(docker: Docker, id: string, lines: number): Promise<string[]> {
  const bytes = await boundedCall('read the logs', (abortSignal) => docker.getContainer(id).logs({ stdout: true, stderr: true, tail: lines, follow: false, abortSignal }));
  const text = readFrames(bytes).map(({ payload }) => payload.toString()).join('');
  // Without its newline, the last line still counts; with it, nothing comes after.
  return text.replace(/\n$/, '').split('\n').slice(-lines).map((line) => line.replace(/\r$/, '').slice(0, maxLineLength));
}

/** The engine answers 304 when there is nothing to do. */
async function unlessNotModified(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    const isDone = isForgeError(error) && (error.cause as { readonly statusCode?: number } | undefined)?.statusCode === 304;
    if (!isDone) throw error;
  }
}

async function ignoring(codes: readonly ForgeError['code'][], call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isForgeError(error) || !codes.includes(error.code)) throw error;
  }
}
