/** A failed start in words: what ended or never came, why as far as the engine knows, and the last lines the app wrote. */
import type { Docker } from '../docker/connect.ts';
import { inspectContainer, tailContainer } from '../docker/containers.ts';
import type { Instance } from '../domain.ts';
import { ForgeError, isForgeError } from '../errors.ts';

/** How many of the last lines a failure quotes. */
const quotedLines = 50;
/** Exit status of a process that SIGKILL ended. */
const killed = 137;

/** The failure of an instance that ended although it should run. */
export async function exitFailure(docker: Docker, { app, name, type, containerId }: Instance): Promise<ForgeError> {
  const { State, HostConfig } = await inspectContainer(docker, containerId);
  const details = await lastLines(docker, containerId);
  if (State.OOMKilled || State.ExitCode === killed) {
    const limit = Math.round((HostConfig.Memory ?? 0) / 1024 / 1024);
    // The engine does not always hear of it from the kernel in time.
    const message = State.OOMKilled ? `${name} ran out of memory: it was killed at its limit of ${limit} MiB` : `${name} was killed (status ${killed}), as happens at its memory limit of ${limit} MiB`;
    return new ForgeError('failed', message, {
      details,
      hint: `give it more: forge limits:set ${app} ${type} --memory ${limit * 2}M`,
    });
  }
  return new ForgeError('failed', `${name} exited with status ${State.ExitCode} instead of running`, { details, hint: exitHint(State.ExitCode) });
}

function exitHint(status: number): string {
  if (status === 127) return 'status 127: the command was not found in the image; check the Procfile or the image’s CMD';
  if (status === 126) return 'status 126: the command may not be executed; check its mode, and file capabilities the container has not';
  if (status === 0) return 'a process that ends by itself belongs into a one-off command; an instance must keep running in the foreground';
  return 'its last lines above say more';
}

/** The same failure with the last lines of the instance. Anything that is not ours passes through. */
export async function withLastLines(docker: Docker, containerId: string, error: unknown): Promise<unknown> {
  if (!isForgeError(error) || (error.code !== 'failed' && error.code !== 'timeout') || error.details.length > 0) return error;
  const details = await lastLines(docker, containerId);
  return new ForgeError(error.code, error.message, { details, cause: error.cause, ...(error.hint === undefined ? {} : { hint: error.hint }) });
}

async function lastLines(docker: Docker, containerId: string): Promise<readonly string[]> {
  try {
    const lines = await tailContainer(docker, containerId, quotedLines);
    return lines.length === 1 && lines[0] === '' ? ['(it wrote nothing)'] : lines;
  } catch {
    return ['(its last lines could not be read)'];
  }
}
