/** Is a new instance ready? Asked from outside the container, so that nothing has to be inside the image. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { ForgeError } from '../errors.ts';
import { delay } from '../wait.ts';
import type { Listener } from './listeners.ts';

export interface ProbeTarget {
  readonly address: string;
  readonly port: number;
  /** HTTP path that must answer 2xx or 3xx; `undefined`: a TCP connection is enough. */
  readonly path: string | undefined;
  /** `Host` of the HTTP request: some apps refuse hosts they do not know. */
  readonly host: string;
}

/** Milliseconds. */
export interface ReadinessTimings {
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** How long an instance without a port must stay up. */
  readonly steadyMs: number;
  /** How long the app may take to answer one probe. */
  readonly answerMs: number;
  /** Listening on 127.0.0.1 only for so long: it will not change any more. */
  readonly loopbackMs: number;
  /** Listening on other ports only for so long. */
  readonly wrongPortMs: number;
}

export const readinessTimings: ReadinessTimings = {
  firstPauseMs: 5,
  longestPauseMs: 150,
  steadyMs: 3_000,
  answerMs: 5_000,
  loopbackMs: 5_000,
  wrongPortMs: 15_000,
};

export interface ReadinessRequest {
  readonly app: string;
  /** `web.1` */
  readonly name: string;
  readonly target: ProbeTarget;
  readonly timeoutMs: number;
  readonly timings: ReadinessTimings;
  /** Ports that the instance listens on, as far as that can be told. */
  listeners(): Promise<readonly Listener[]>;
  readonly signal: AbortSignal;
}

/** How often the instance's listeners are looked at while it does not answer. */
const listenersEveryMs = 1_000;
const pauseGrowth = 1.5;
/** What even the last probe before the deadline gets, so that its answer means something. */
const leastAnswerMs = 250;

/**
 * Resolves when the target answers. Throws `failed` when the instance certainly listens where nobody asks, `timeout`
 * when it did not answer in time; the message names the probe, the port expected and the ports found.
 */
export async function untilReady(request: ReadinessRequest): Promise<void> {
  const { target, timings, timeoutMs, signal } = request;
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  let pauseMs = timings.firstPauseMs;
  let lookAt = listenersEveryMs;
  let misplaced: { readonly problem: string; readonly sinceMs: number } | undefined;
  for (;;) {
    const answer = await probe(target, Math.min(timings.answerMs, Math.max(leastAnswerMs, timeoutMs - elapsed())), signal);
    if (answer === 'ready') return;
    if (elapsed() >= lookAt || elapsed() >= timeoutMs) {
      lookAt = elapsed() + listenersEveryMs;
      const placement = diagnose(await request.listeners(), target.port);
      if (placement?.problem !== misplaced?.problem) misplaced = placement && { problem: placement.problem, sinceMs: elapsed() };
      const patienceMs = placement?.isLoopback ? timings.loopbackMs : timings.wrongPortMs;
      if (placement && misplaced && (elapsed() - misplaced.sinceMs >= patienceMs || elapsed() >= timeoutMs)) throw misplacedError(request, placement);
    }
    if (elapsed() >= timeoutMs) throw neverReadyError(request, answer);
    await delay(Math.min(pauseMs, Math.max(1, timeoutMs - elapsed())), signal);
    pauseMs = Math.min(pauseMs * pauseGrowth, timings.longestPauseMs);
  }
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

function misplacedError({ app, name, target }: ReadinessRequest, { problem, foundPort, isLoopback }: Placement): ForgeError {
  const hint = isLoopback
    ? 'bind to 0.0.0.0 or :: instead of 127.0.0.1 or localhost'
    : `listen on the port that the variable PORT names (${target.port}), or tell forge: forge ports:set ${app} ${foundPort}`;
  return new ForgeError('failed', `${name} ${problem}`, { hint });
}

function neverReadyError({ app, name, target, timeoutMs }: ReadinessRequest, answer: string): ForgeError {
  const question = target.path === undefined ? `a TCP connection to port ${target.port}` : `GET ${target.path} on port ${target.port}`;
  return new ForgeError('timeout', `${name} was not ready within ${timeoutMs / 1000} s: ${question}: ${answer}`, {
    hint: `it must listen on the port that the variable PORT names, on all addresses; a slow start needs more time: forge checks:set ${app} --timeout ${Math.ceil(timeoutMs / 500)}`,
  });
}

/** `ready`, or why not. */
async function probe(target: ProbeTarget, timeoutMs: number, signal: AbortSignal): Promise<string> {
  return target.path === undefined ? await probeTcp(target, timeoutMs, signal) : await probeHttp({ ...target, path: target.path }, timeoutMs, signal);
}

function probeTcp({ address, port }: ProbeTarget, timeoutMs: number, signal: AbortSignal): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ host: address, port, signal, timeout: timeoutMs });
  const end = (answer: string) => {
    socket.destroy();
    resolve(answer);
  };
  socket.once('connect', () => end('ready'));
  socket.once('timeout', () => end('no answer'));
  socket.on('error', (error: NodeJS.ErrnoException) => end(reasonOf(error)));
  return promise;
}

function probeHttp({ address, port, path, host }: ProbeTarget & { readonly path: string }, timeoutMs: number, signal: AbortSignal): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs))]);
  const call = request({ host: address, port, path, headers: { host, 'user-agent': 'forge-readiness' }, agent: false, signal: limit });
  call.once('response', (response) => {
    const status = response.statusCode ?? 0;
    resolve(status >= 200 && status < 400 ? 'ready' : `answered ${status}`);
    response.destroy();
  });
  call.on('error', (error: NodeJS.ErrnoException) => resolve(limit.aborted ? 'no answer' : reasonOf(error)));
  call.end();
  return promise;
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused (nothing listens there)',
  EHOSTUNREACH: 'host unreachable',
  ECONNRESET: 'connection reset',
};

const reasonOf = ({ code, message }: NodeJS.ErrnoException): string => reasons[code ?? ''] ?? message;
