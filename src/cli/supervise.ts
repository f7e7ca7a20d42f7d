/**
 * `forge supervise FILE`: keeps programs running where no systemd does it. SIGTERM stops them, the last named first;
 * SIGHUP reads the file again and restarts those whose `generation` has changed, so that an upgrade leaves the rest alone.
 */
import { createWriteStream, mkdirSync, readFileSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ForgeError } from '../errors.ts';
import { createLog, type Log } from '../log.ts';
import { replaceFile } from '../replace-file.ts';
import { startProcess, type StartedProcess } from '../run-process.ts';
import { delay, withTimeout } from '../wait.ts';

const programSchema = z.strictObject({
  name: z.string().regex(/^[a-z-]+$/),
  argv: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()),
  /** Changes when the program has to be restarted. */
  generation: z.string(),
});
const planSchema = z.strictObject({ pidFile: z.string(), logDirectory: z.string(), programs: z.array(programSchema) });
type Plan = z.infer<typeof planSchema>;
type Program = z.infer<typeof programSchema>;

const backOffMs = { first: 200, most: 10_000 };
/** A program that ran this long starts again without waiting. */
const steadyMs = 10_000;
const stopTimeoutMs = 45_000;

interface Keeper {
  readonly program: Program;
  stop(): Promise<void>;
}

/** Runs until SIGTERM; resolves to the exit status. */
export async function runSupervise(path: string): Promise<number> {
  const log = createLog('info', 'supervise');
  const first = readPlan(path);
  mkdirSync(first.logDirectory, { recursive: true, mode: 0o750 });
  await replaceFile(first.pidFile, `${process.pid}\n`, 0o644);
  let keepers = first.programs.map((program) => keep(program, first.logDirectory, log));
  let changing: Promise<void> = Promise.resolve();
  const reload = async (): Promise<void> => {
    keepers = await restartChanged(keepers, readPlan(path), log);
  };
  process.on('SIGHUP', () => {
    changing = changing.then(reload).catch((error: unknown) => log.error({ err: error }, 'the new plan could not be put in force'));
  });
  await untilTerminated();
  await changing;
  for (const keeper of keepers.toReversed()) await keeper.stop();
  return 0;
}

function readPlan(path: string): Plan {
  try {
    return planSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new ForgeError('invalid', `${path} is no plan of programs: ${(error as Error).message}`, { cause: error });
  }
}

async function restartChanged(keepers: readonly Keeper[], plan: Plan, log: Log): Promise<Keeper[]> {
  const next: Keeper[] = [];
  for (const program of plan.programs) {
    const running = keepers.find((keeper) => keeper.program.name === program.name);
    if (running?.program.generation === program.generation) {
      next.push(running);
      continue;
    }
    await running?.stop();
    next.push(keep(program, plan.logDirectory, log));
  }
  return next;
}

function keep(program: Program, logDirectory: string, log: Log): Keeper {
  const stopping = new AbortController();
  const output = createWriteStream(join(logDirectory, `${program.name}.log`), { flags: 'a', mode: 0o640 });
  output.on('error', (error) => log.error({ err: error, program: program.name }, 'the log file cannot be written'));
  let child: StartedProcess | undefined;
  const run = async (): Promise<void> => {
    let waitMs = backOffMs.first;
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      child = start(program, output);
      const { exitCode, signal } = await child;
      if (stopping.signal.aborted) return;
      waitMs = performance.now() - startedAt > steadyMs ? backOffMs.first : Math.min(waitMs * 2, backOffMs.most);
      log.warn({ program: program.name, exitCode, signal, waitMs }, 'the program ended and is started again');
      await delay(waitMs, stopping.signal).catch(() => undefined);
    }
  };
  const ended = run();
  const stop = async (): Promise<void> => {
    stopping.abort();
    child?.kill('SIGTERM');
    await withTimeout(stopTimeoutMs, `${program.name} did not stop`, async () => await ended).catch(() => child?.kill('SIGKILL'));
    output.end();
  };
  return { program, stop };
}

function start(program: Program, output: WriteStream): StartedProcess {
  const [file = '', ...args] = program.argv;
  const child = startProcess(file, args, { env: program.env, cwd: '/' });
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  child.stdin.end();
  return child;
}

async function untilTerminated(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGTERM', () => resolve()).once('SIGINT', () => resolve());
  // Signals alone do not keep Node running.
  const forever = new MessageChannel();
  forever.port1.ref();
  await promise;
  forever.port1.close();
}
