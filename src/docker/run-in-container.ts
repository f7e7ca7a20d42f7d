/** A short command of forge's own inside a running container. */
import type { Duplex } from 'node:stream';
import { abortError } from '../errors.ts';
import { withDeadline } from '../wait.ts';
import { type Docker, engineCall } from './connect.ts';
import { frameParts } from './stream-frames.ts';

const outputBytesKept = 256 * 1024;

export interface CommandResult {
  readonly exitCode: number;
  /** Both streams together; the end of it when there is a lot. */
  readonly output: string;
}

/** Runs argv and waits for its end. The wait ends with the signal; the command itself cannot be stopped by the engine. */
export async function runInContainer(docker: Docker, options: { containerId: string; argv: readonly string[]; timeoutMs: number; signal: AbortSignal }): Promise<CommandResult> {
  const { containerId, argv, timeoutMs } = options;
  using signal = withDeadline(timeoutMs, `${argv[0] ?? ''} did not end within ${timeoutMs / 1000} s`, options.signal);
  const what = `run ${argv[0] ?? ''}`;
  const exec = await engineCall(what, docker.getContainer(containerId).exec({ Cmd: [...argv], AttachStdout: true, AttachStderr: true, abortSignal: signal }), signal);
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
  const { ExitCode } = await engineCall(what, exec.inspect());
  return { exitCode: ExitCode ?? -1, output };
}
