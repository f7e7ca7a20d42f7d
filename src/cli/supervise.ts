/**
 * `forge supervise FILE`: keeps programs running where no systemd does it. SIGTERM stops them, the last named first;
 * SIGHUP reads the file again and restarts those whose `generation` has changed, so that an upgrade leaves the rest alone;
 * SIGUSR2 ends the supervisor alone. The next one finds what runs, also after this one was killed.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ForgeError } from '../errors.ts';
import { createLog, type Log } from '../log.ts';
import { replaceFile } from '../replace-file.ts';
import { delay, every } from '../wait.ts';
import { endSupervised, findSupervised, type ProcessPlaces, rotateLog, startSupervised, startTimeOf, type SupervisedProcess } from './supervised-process.ts';

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
/** A program that ran this long starts again without waiting longer than at first. */
const steadyMs = 10_000;
const stopTimeoutMs = 45_000;
const rotateEveryMs = 60_000;

interface Keeper {
  readonly program: Program;
  /** Ends the program. */
  stop(): Promise<void>;
  /** Leaves it running. */
  leave(): void;
}

/** Runs until SIGTERM or SIGUSR2, then ends the process. Throws `conflict` beside another supervisor of the same plan. */
export async function runSupervise(path: string): Promise<never> {
  const log = createLog('info', 'supervise');
  const first = readPlan(path);
  mkdirSync(first.logDirectory, { recursive: true, mode: 0o750 });
  await claimPidFile(first.pidFile);
  let keepers = first.programs.map((program) => keep(program, first, log));
  let changing: Promise<void> = Promise.resolve();
  process.on('SIGHUP', () => {
    changing = changing.then(async () => void (keepers = await restartChanged(keepers, readPlan(path), log))).catch((error: unknown) => log.error({ err: error }, 'the new plan could not be put in force'));
  });
  const reason = await untilTold();
  await changing;
  log.info({ reason }, reason === 'SIGUSR2' ? 'leaving the programs to the next supervisor' : 'stopping the programs');
  if (reason === 'SIGUSR2') keepers.forEach((keeper) => keeper.leave());
  else for (const keeper of keepers.toReversed()) await keeper.stop();
  await rm(first.pidFile, { force: true });
  // What is left running would keep this process with it.
  process.exit(0);
}

function readPlan(path: string): Plan {
  try {
    return planSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new ForgeError('invalid', `${path} is no plan of programs: ${(error as Error).message}`, { cause: error });
  }
}

/** `<pid> <start time>`: the number alone could be another process's by now. */
async function claimPidFile(path: string): Promise<void> {
  const [pid = '', startTime = ''] = readPidFile(path);
  if (startTime !== '' && startTimeOf(Number(pid)) === startTime) {
    throw new ForgeError('conflict', `process ${pid} supervises this plan already`, { hint: `kill -HUP ${pid} makes it read the plan again, kill ${pid} stops everything` });
  }
  await replaceFile(path, `${process.pid} ${startTimeOf(process.pid)}\n`, 0o644);
}

function readPidFile(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trim().split(' ');
  } catch {
    return [];
  }
}

async function restartChanged(keepers: readonly Keeper[], plan: Plan, log: Log): Promise<Keeper[]> {
  for (const keeper of keepers) if (!plan.programs.some(({ name }) => name === keeper.program.name)) await keeper.stop();
  const next: Keeper[] = [];
  for (const program of plan.programs) {
    const running = keepers.find((keeper) => keeper.program.name === program.name);
    if (running?.program.generation === program.generation) {
      next.push(running);
      continue;
    }
    await running?.stop();
    next.push(keep(program, plan, log));
  }
  return next;
}

/** Takes over what runs in the wanted generation, else starts it; then starts it again whenever it ends. */
function keep(program: Program, { pidFile, logDirectory }: Plan, log: Log): Keeper {
  const places: ProcessPlaces = { pidFile: join(dirname(pidFile), `forge-${program.name}.pid.json`), logFile: join(logDirectory, `${program.name}.log`) };
  const stopping = new AbortController();
  let current: SupervisedProcess | undefined;
  const run = async (): Promise<void> => {
    current = await takeOver(program, places, log);
    for (let waitMs = backOffMs.first; !stopping.signal.aborted; ) {
      const startedAt = performance.now();
      current ??= startSupervised(program, places);
      const reason = await current.ended;
      if (stopping.signal.aborted) return;
      current = undefined;
      const isSteady = performance.now() - startedAt > steadyMs;
      log.warn({ program: program.name, reason, waitMs }, 'the program ended and is started again');
      await delay(waitMs, stopping.signal).catch(() => undefined);
      waitMs = isSteady ? backOffMs.first : Math.min(waitMs * 2, backOffMs.most);
    }
  };
  const running = run().catch((error: unknown) => log.error({ err: error, program: program.name }, 'the program is not supervised any more'));
  const rotation = every(rotateEveryMs, () => rotateLog(places.logFile), (error) => log.warn({ err: error }, 'the log could not be shortened'));
  return {
    program,
    async stop() {
      stopping.abort();
      rotation[Symbol.dispose]();
      if (current) await endSupervised(current, stopTimeoutMs);
      await running;
      await rm(places.pidFile, { force: true });
    },
    leave: () => stopping.abort(),
  };
}

async function takeOver(program: Program, { pidFile }: ProcessPlaces, log: Log): Promise<SupervisedProcess | undefined> {
  const found = findSupervised(pidFile);
  if (!found) return undefined;
  log.info({ program: program.name, pid: found.pid, isCurrent: found.generation === program.generation }, 'the program runs already');
  if (found.generation === program.generation) return found;
  await endSupervised(found, stopTimeoutMs);
  return undefined;
}

async function untilTold(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const) process.once(signal, () => resolve(signal));
  // Signals alone do not keep Node running.
  const forever = new MessageChannel();
  forever.port1.ref();
  try {
    return await promise;
  } finally {
    forever.port1.close();
  }
}
