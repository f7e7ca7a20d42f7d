/** Waits until a new instance passes a check. */
import type { Check } from '../app-file.ts';
import { ForgeError, isForgeError } from '../errors.ts';
import { delay } from '../wait.ts';
import { servingType, steadyMs } from './checks.ts';
import { nameOf } from './describe-check.ts';
import type { Listener } from './listeners.ts';
import type { Ask } from './probe.ts';

/** Milliseconds. */
export interface ReadinessTimings {
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** How long an instance without a port must stay up. */
  readonly steadyMs: number;
  /** Listening on 127.0.0.1 only for so long: it will not change any more. */
  readonly loopbackMs: number;
  /** Listening on other ports only for so long. */
  readonly wrongPortMs: number;
}

export const readinessTimings: ReadinessTimings = {
  firstPauseMs: 5,
  longestPauseMs: 150,
  steadyMs,
  loopbackMs: 5_000,
  wrongPortMs: 15_000,
};

export interface ReadinessRequest {
  readonly app: string;
  /** `web.1` */
  readonly name: string;
  /** `web` */
  readonly type: string;
  readonly check: Check;
  /** The release's port. */
  readonly port: number;
  readonly ask: Ask;
  readonly timings: ReadinessTimings;
  /** Ports that the instance listens on, as far as that can be told. */
  listeners(): Promise<readonly Listener[]>;
  readonly signal: AbortSignal;
}

/** How often the instance's listeners are looked at while it does not answer. */
const listenersEveryMs = 1_000;
const pauseGrowth = 1.5;
/** A command costs the engine and the app something each time. */
const commandPauses = { firstPauseMs: 250, longestPauseMs: 1_000 };

/**
 * Resolves when the instance passes. It is asked often, not once every `waitMs`: the check's attempts times its wait only
 * say how long that may take, and the last question gets its whole time to be answered. Throws `failed` when the instance
 * certainly listens where nobody asks, `timeout` when it did not pass in time; the message names the check, the port
 * expected and the ports found.
 */
export async function untilReady(request: ReadinessRequest): Promise<void> {
  const { check, timings, signal } = request;
  if (check.initialDelayMs > 0) await delay(check.initialDelayMs, signal);
  // Whoever asks for it also watches for the end of the instance.
  if (check.probe.kind === 'uptime') return await delay(check.probe.uptimeMs, signal);
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  const budgetMs = check.attempts * check.waitMs;
  const pauses = check.probe.kind === 'command' ? commandPauses : timings;
  const watch = watchPlacement(request);
  let pauseMs = pauses.firstPauseMs;
  let lookAt = listenersEveryMs;
  for (let asked = 1; ; asked += 1) {
    const problem = await request.ask(signal).catch(unavailability);
    if (problem === undefined) return;
    const isOver = asked >= check.attempts && elapsed() >= budgetMs;
    if (elapsed() >= lookAt || isOver) {
      lookAt = elapsed() + listenersEveryMs;
      await watch(elapsed(), isOver);
    }
    if (isOver) throw neverReadyError(request, problem);
    await delay(Math.max(1, Math.min(pauseMs, budgetMs - elapsed())), signal);
    pauseMs = Math.min(pauseMs * pauseGrowth, pauses.longestPauseMs);
  }
}

/** An engine that does not answer for a moment has the same time to come back as the instance has to get ready. */
function unavailability(error: unknown): string {
  if (isForgeError(error) && error.code === 'unavailable') return error.message;
  throw error;
}

/** Throws once the instance has listened in the wrong place for longer than it can be a passing state. */
function watchPlacement(request: ReadinessRequest): (atMs: number, isOver: boolean) => Promise<void> {
  const { check, timings, port } = request;
  let misplaced: { readonly problem: string; readonly sinceMs: number } | undefined;
  return async (atMs, isOver) => {
    if (check.probe.kind === 'command') return;
    const placement = diagnose(await request.listeners(), check.port ?? port);
    if (placement?.problem !== misplaced?.problem) misplaced = placement && { problem: placement.problem, sinceMs: atMs };
    if (!placement || !misplaced) return;
    const patienceMs = placement.isLoopback ? timings.loopbackMs : timings.wrongPortMs;
    if (isOver || atMs - misplaced.sinceMs >= patienceMs) throw misplacedError(request, placement);
  };
}

interface Placement {
  readonly problem: string;
  /** Lowest port that it does listen on. */
  readonly foundPort: number;
  readonly isLoopback: boolean;
}

/** Where the app listens instead of where it should; `undefined` when that explains nothing. */
export function diagnose(listeners: readonly Listener[], port: number): Placement | undefined {
  const onPort = listeners.filter((listener) => listener.port === port);
  if (onPort.some(({ isLoopback }) => !isLoopback)) return undefined;
  if (onPort.length > 0) {
    return {
      problem: `listens on port ${port} of 127.0.0.1 only, where nobody outside the container reaches it`,
      foundPort: port,
      isLoopback: true,
    };
  }
  const others = [...new Set(listeners.map((listener) => listener.port))].toSorted((a, b) => a - b);
  const [foundPort] = others;
  if (foundPort === undefined) return undefined;
  return { problem: `listens on port ${others.join(', ')}, expected is port ${port}`, foundPort, isLoopback: false };
}

function misplacedError({ app, name, check, port }: ReadinessRequest, { problem, foundPort, isLoopback }: Placement): ForgeError {
  const hint =
    isLoopback ? 'bind to 0.0.0.0 or :: instead of 127.0.0.1 or localhost'
    : check.port !== undefined && check.port !== port ? `the check names port ${check.port}: forge checks:show ${app} shows where it comes from`
    : `listen on the port that the variable PORT names (${port}), or tell forge: forge ports:set ${app} ${foundPort}`;
  return new ForgeError('failed', `${name} ${problem}`, { hint });
}

function neverReadyError({ app, name, type, check, port }: ReadinessRequest, problem: string): ForgeError {
  const withinMs = check.initialDelayMs + check.attempts * check.waitMs;
  const ofType = type === servingType ? '' : ` --type ${type}`;
  const more = `a slow start needs more time: forge checks:set ${app}${ofType} --timeout ${Math.max(1, Math.ceil((check.attempts * check.waitMs) / 500))}`;
  const first = check.probe.kind === 'tcp' ? 'it must listen on the port that the variable PORT names, on all addresses' : `forge checks:show ${app} shows the check`;
  return new ForgeError('timeout', `${name} was not ready within ${withinMs / 1000} s: ${nameOf(check, port)}: ${problem}`, { hint: `${first}; ${more}` });
}
