/** Commands in a running container, with their streams. */
import type { Duplex } from 'node:stream';
import { attachmentOf, type Attachment } from './attach.ts';
import { engineCall, type Docker } from './connect.ts';

export interface ExecOptions {
  readonly argv: readonly string[];
  /** `KEY=value`, besides what the container has. */
  readonly env: readonly string[];
  readonly hasTerminal: boolean;
  readonly signal: AbortSignal;
}

export interface RunningExec {
  readonly attachment: Attachment;
  resize(size: { readonly columns: number; readonly rows: number }): Promise<void>;
  /** Exit status; `undefined` while it runs. */
  status(): Promise<number | undefined>;
}

/** Starts argv as the container's user. The engine has no way to end it: it ends by itself or with the container. */
export async function startExec(docker: Docker, containerId: string, { argv, env, hasTerminal, signal }: ExecOptions): Promise<RunningExec> {
  const what = `run ${argv[0] ?? ''} in the container`;
  const streams = { AttachStdin: true, AttachStdout: true, AttachStderr: true };
  const exec = await engineCall(what, docker.getContainer(containerId).exec({ Cmd: [...argv], Env: [...env], Tty: hasTerminal, ...streams, abortSignal: signal }), signal);
  const socket: Duplex = await engineCall(what, exec.start({ hijack: true, stdin: true, Tty: hasTerminal }), signal);
  return {
    attachment: attachmentOf(socket, { hasTerminal, signal }),
    resize: async ({ columns, rows }) => void (await engineCall('resize the terminal', exec.resize({ w: columns, h: rows }) as Promise<unknown>)),
    status: async () => {
      const { Running, ExitCode } = await engineCall(what, exec.inspect());
      return Running ? undefined : (ExitCode ?? undefined);
    },
  };
}
