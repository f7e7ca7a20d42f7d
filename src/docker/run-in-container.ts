/** A short command inside a running container. */
import type { Duplex } from 'node:stream';
import type { Exec } from 'dockerode';
import { abortError, ForgeError } from '../errors.ts';
import { withDeadline } from '../wait.ts';
import { type Docker, engineCall } from './connect.ts';
import { frameParts } from './stream-frames.ts';

const outputBytesKept = 256 * 1024;

export interface CommandResult {
  readonly exitCode: number;
  /** Both streams together; the end of it when there is a lot. */
  readonly output: string;
}

export interface ContainerCommand {
  readonly containerId: string;
  readonly argv: readonly string[];
}

/** Runs argv and waits for its end. The wait ends with the signal; the command itself cannot be stopped by the engine. */
export async function runInContainer(docker: Docker, options: ContainerCommand & { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<CommandResult> {
  return await createRepeatedCommand(docker, options).run(options.timeoutMs, options.signal);
}

export interface RepeatedCommand {
  /** As `runInContainer`, but `unavailable` when the engine has not begun it in that time; throws `conflict` while an earlier run, which nobody waits for any more, still goes on. */
  run(timeoutMs: number, signal: AbortSignal): Promise<CommandResult>;
}

/** A command that is run again and again, never twice at a time: one that hangs must not fill the container with its like. */
export function createRepeatedCommand(docker: Docker, { containerId, argv }: ContainerCommand): RepeatedCommand {
  const what = `run ${argv[0] ?? ''}`;
  let left: Exec | undefined;
  return {
    run: async (timeoutMs, parent) => {
      const begin = async <T>(call: Promise<T>): Promise<T> =>
        await engineCall(what, call, signal).catch((error: unknown) => {
          throw signal.aborted && !parent.aborted ? new ForgeError('unavailable', `could not ${what}: the Docker Engine did not answer within ${timeoutMs / 1000} s`) : error;
        });
      using signal = withDeadline(timeoutMs, `${argv[0] ?? ''} did not end within ${timeoutMs / 1000} s`, parent);
      if (left && (await begin(left.inspect({ abortSignal: signal }))).Running) throw new ForgeError('conflict', 'the run before has not ended');
      const exec = await begin(docker.getContainer(containerId).exec({ Cmd: [...argv], AttachStdout: true, AttachStderr: true, abortSignal: signal }));
      left = exec;
      const output = await outputOf(exec, what, signal);
      const { ExitCode } = await engineCall(what, exec.inspect({ abortSignal: signal }), signal);
      left = undefined;
      return { exitCode: ExitCode ?? -1, output };
    },
  };
}

async function outputOf(exec: Exec, what: string, signal: AbortSignal): Promise<string> {
  const stream: Duplex = await engineCall(what, exec.start({ abortSignal: signal }), signal);
  const stop = (): void => void stream.destroy();
  signal.addEventListener('abort', stop, { once: true });
  let output = '';
  try {
    for await (const { payload } of frameParts(stream)) output = (output + payload.toString()).slice(-outputBytesKept);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  if (signal.aborted) throw abortError(signal);
  return output;
}
