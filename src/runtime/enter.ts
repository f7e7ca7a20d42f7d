/** A command in an instance that serves: a person looks into it. */
import { randomBytes } from 'node:crypto';
import { startExec, type RunningExec } from '../docker/exec.ts';
import { runInContainer } from '../docker/run-in-container.ts';
import type { Streams } from '../docker/attach.ts';
import type { Instance, Release, Terminal } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { delay, withTimeout } from '../wait.ts';
import type { RuntimeParts } from './parts.ts';
import { followSize } from './terminal-size.ts';

export interface EnterRequest extends Streams {
  readonly instance: Instance;
  /** Of the release that the instance runs: buildpack images start commands through it, for the build's environment. */
  readonly launcher: Release['image']['launcher'];
  readonly argv: readonly string[];
  readonly terminal: Terminal | undefined;
  /** Aborts when the person left: the command is ended, with what it has started. */
  readonly signal: AbortSignal;
}

/** By it the processes of a session are found again: whatever they start inherits it. */
const marker = 'FORGE_SESSION';

/**
 * The engine cannot end a command that it started in a container, so another one does, inside, where process ids mean
 * something. An image without a shell and grep has to wait for the end of the command's input.
 */
const endSession = 'for p in $(grep -ls "$1" /proc/[0-9]*/environ); do p="${p#/proc/}"; kill "-$2" "${p%/environ}" 2>/dev/null; done; :';
const graceMs = 2_000;
const endTimeoutMs = 30_000;
/** On a busy machine a command may begin only after it was looked for, or be looked for too slowly. */
const endAttempts = 10;
/** The engine tells the exit status a moment after the end of the streams. */
const statusTimeoutMs = 10_000;
const statusPauseMs = 20;

/** Resolves to the exit status. Throws `canceled` when the person left, `failed` when the instance cannot run it. */
export async function enter(request: EnterRequest, parts: RuntimeParts): Promise<number> {
  const { instance, launcher, argv, terminal, signal } = request;
  const session = `${marker}=${randomBytes(8).toString('hex')}`;
  const words = launcher === undefined ? argv : [launcher, '--', ...argv];
  const env = [session, ...(terminal ? [`TERM=xterm-256color`] : [])];
  const exec = await startExec(parts.docker, instance.containerId, { argv: words, env, hasTerminal: terminal !== undefined, signal });
  try {
    if (terminal) followSize(terminal, (size) => exec.resize(size));
    await exec.attachment.carry(request);
    return await withTimeout(statusTimeoutMs, `${argv[0] ?? ''} ended, but the Docker Engine does not tell how`, async (deadline) => {
      for (;;) {
        const status = await exec.status();
        if (status !== undefined) return status;
        await delay(statusPauseMs, deadline);
      }
    });
  } catch (error) {
    if (signal.aborted) await end(exec, { instance, session }, parts);
    throw error instanceof ForgeError && error.code === 'conflict' ? new ForgeError('conflict', `${instance.name} does not run`, { cause: error }) : error;
  } finally {
    exec.attachment.close();
  }
}

async function end(exec: RunningExec, { instance, session }: { readonly instance: Instance; readonly session: string }, { docker, log }: RuntimeParts): Promise<void> {
  const signalAll = async (kind: 'HUP' | 'KILL') =>
    await runInContainer(docker, { containerId: instance.containerId, argv: ['sh', '-c', endSession, 'sh', session, kind], timeoutMs: endTimeoutMs, signal: new AbortController().signal });
  for (let attempt = 0; attempt < endAttempts; attempt += 1) {
    try {
      await signalAll(attempt === 0 ? 'HUP' : 'KILL');
      if (attempt > 0 && (await exec.status()) !== undefined) return;
    } catch (error) {
      log.info({ err: error, instance: instance.name }, 'a command in an instance could not be ended with its session');
      if (!(error instanceof ForgeError) || error.code !== 'timeout') return;
    }
    await delay(graceMs);
  }
}
