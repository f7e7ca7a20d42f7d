/** One run of a supervised program: started, or found running from an earlier supervisor by what that wrote down. */
import { closeSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { copyFile, rm, stat, truncate } from 'node:fs/promises';
import { z } from 'zod';
import { startDaemon } from '../run-process.ts';
import { delay } from '../wait.ts';

export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly generation: string;
}

export interface ProcessPlaces {
  /** Names the running process for the next supervisor. */
  readonly pidFile: string;
  readonly logFile: string;
}

export interface SupervisedProcess {
  readonly pid: number;
  readonly generation: string;
  /** Resolves, in words, to how it ended. */
  readonly ended: Promise<string>;
}

const record = z.strictObject({ pid: z.number().int().positive(), startTime: z.string(), generation: z.string() });

const pollMs = 250;
const maxLogBytes = 20 * 1024 * 1024;

/** Starts the command and writes down what it is. Never throws: a program that cannot start has ended. */
export function startSupervised({ argv, env, generation }: Command, { pidFile, logFile }: ProcessPlaces): SupervisedProcess {
  const [file = '', ...args] = argv;
  const outputFd = openSync(logFile, 'a', 0o640);
  try {
    const { pid = 0, ended } = startDaemon(file, args, { env, cwd: '/', outputFd });
    const startTime = startTimeOf(pid);
    if (startTime !== undefined) writeRecord(pidFile, { pid, startTime, generation });
    return { pid, generation, ended };
  } finally {
    closeSync(outputFd);
  }
}

/** At once, so that no supervisor is killed between start and record; not synced, since a reboot ends the process too. */
function writeRecord(pidFile: string, content: z.infer<typeof record>): void {
  writeFileSync(`${pidFile}.new`, JSON.stringify(content), { mode: 0o644 });
  renameSync(`${pidFile}.new`, pidFile);
}

/** The process that an earlier supervisor started, if it still runs; another that got its number since is not it. */
export function findSupervised(pidFile: string): SupervisedProcess | undefined {
  try {
    const { pid, startTime, generation } = record.parse(JSON.parse(readFileSync(pidFile, 'utf8')));
    const runs = () => startTimeOf(pid) === startTime;
    if (!runs()) return undefined;
    const watch = async (): Promise<string> => {
      while (runs()) await delay(pollMs);
      return 'it ended';
    };
    return { pid, generation, ended: watch() };
  } catch {
    // No file, or one of an unknown form: nothing that could be taken over.
    return undefined;
  }
}

/** SIGTERM, then SIGKILL for it and what it started. Resolves when it has ended. */
export async function endSupervised({ pid, ended }: Pick<SupervisedProcess, 'pid' | 'ended'>, timeoutMs: number): Promise<void> {
  const done = new AbortController();
  const killLate = delay(timeoutMs, done.signal).then(
    () => signalTo(-pid, 'SIGKILL'),
    () => undefined,
  );
  signalTo(pid, 'SIGTERM');
  await ended;
  done.abort();
  await killLate;
}

/** In kernel ticks since boot, which together with the number names one process; `undefined` once it has ended. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html : state is field 3, starttime field 22.
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Keeps one older piece of a log; the program goes on writing to the same file, which it opened for appending. */
export async function rotateLog(path: string, maxBytes = maxLogBytes): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= maxBytes) return;
  await rm(`${path}.1`, { force: true });
  await copyFile(path, `${path}.1`);
  await truncate(path);
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  // Zero would be this process's own group.
  if (pid === 0) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}
