/** The one door to child processes. Always argv, never a shell; environment is exactly what is passed. */
// eslint-disable-next-line no-restricted-imports -- this is the door that the rule names
import { spawn } from 'node:child_process';
import { execa } from 'execa';
import { abortError, ForgeError } from './errors.ts';
import { delay, withDeadline } from './wait.ts';

export interface ProcessOptions {
  /** The whole environment of the child; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Written to stdin; without it stdin is empty. */
  readonly input?: string | Uint8Array;
  /** Bytes kept of each stream; more is an error. */
  readonly maxBytes?: number;
  /** After this many milliseconds the child is killed and the call fails with `timeout`. */
  readonly timeoutMs?: number;
}

export interface ProcessResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child that does not end at SIGTERM gets SIGKILL after this. */
const killAfterMs = 5_000;
/** What a killed child started may hold its output open; beyond this it is not waited for. */
const lingerMs = killAfterMs + 1_000;

/** Runs a short command and collects its output. A non-zero exit is a result, not an error. */
export async function runProcess(file: string, args: readonly string[], options: ProcessOptions): Promise<ProcessResult> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const late = `${file} ${args[0] ?? ''} did not end within ${timeoutMs} ms`;
  using given = withDeadline(timeoutMs, late, options.signal);
  const result = await untilLong(given, execa(file, args, {
    env: { ...options.env },
    extendEnv: false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    input: options.input ?? '',
    maxBuffer: options.maxBytes ?? 8 * 1024 * 1024,
    cancelSignal: given,
    forceKillAfterDelay: killAfterMs,
    stripFinalNewline: false,
    reject: false,
  }));
  if (result.isCanceled) throw abortError(given);
  if (result.exitCode === undefined) {
    throw new ForgeError('failed', `${file} could not run: ${result.originalMessage ?? result.shortMessage ?? 'unknown'}`, { cause: result });
  }
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
}

/** As the promise, but at most `lingerMs` after the signal has aborted. */
async function untilLong<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const { promise: overdue, reject } = Promise.withResolvers<never>();
  const linger = (): void => void delay(lingerMs, settled.signal).then(() => reject(abortError(signal)), () => undefined);
  if (signal.aborted) linger();
  signal.addEventListener('abort', linger, { once: true });
  try {
    return await Promise.race([promise, overdue]);
  } finally {
    settled.abort();
    signal.removeEventListener('abort', linger);
  }
}

/** Starts a child whose streams the caller pipes; stdio is three pipes. The caller waits for its end. */
export function startProcess(file: string, args: readonly string[], options: Pick<ProcessOptions, 'env' | 'cwd'> & { readonly detached?: boolean }) {
  return execa(file, args, {
    env: { ...options.env },
    extendEnv: false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    ...(options.detached === undefined ? {} : { detached: options.detached }),
  });
}

/** A started child, as `startProcess` returns it. */
export type StartedProcess = ReturnType<typeof startProcess>;

export interface Daemon {
  /** `undefined`: it could not be started. */
  readonly pid: number | undefined;
  /** Resolves, in words, to how it ended. */
  readonly ended: Promise<string>;
}

/**
 * Starts a program that outlives this process and leads a process group of its own. Its output goes to the open file
 * itself, which execa does not offer: through a pipe, it would end with this process.
 */
export function startDaemon(file: string, args: readonly string[], { env, cwd, outputFd }: Pick<ProcessOptions, 'env' | 'cwd'> & { readonly outputFd: number }): Daemon {
  const child = spawn(file, args, { env: { ...env }, cwd, stdio: ['ignore', outputFd, outputFd], detached: true });
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  child.once('error', (error) => resolve(error.message));
  child.once('exit', (exitCode, signal) => resolve(signal ?? `exit status ${exitCode}`));
  return { pid: child.pid, ended };
}
