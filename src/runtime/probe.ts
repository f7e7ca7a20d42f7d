/** Asks an instance one question of a check. From outside the container where it can be, so that nothing has to be inside the image. */
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Check, Probe } from '../app-file.ts';
import type { Docker } from '../docker/connect.ts';
import { inspectContainer } from '../docker/containers.ts';
import { createRepeatedCommand } from '../docker/run-in-container.ts';
import type { Instance, Release } from '../domain.ts';
import { abortError, isForgeError } from '../errors.ts';

/** `undefined` when the instance passes, else why not. Throws when the signal aborts, and `unavailable` when the engine cannot be asked: that says nothing of the instance. */
export type Ask = (signal: AbortSignal) => Promise<string | undefined>;

export interface ProbePlace {
  readonly address: string;
  readonly port: number;
  /** `Host` of HTTP requests: some apps refuse hosts they do not know. */
  readonly host: string;
  /** Runs a command with the environment of the image's build, where it has one. */
  readonly launcher: string | undefined;
  readonly containerId: string;
  readonly docker: Docker;
}

/** Where the checks of an instance are asked. */
export const placeOf = (instance: Instance, { app, image }: Pick<Release, 'app' | 'image'>, { docker, domain }: { readonly docker: Docker; readonly domain: string }): ProbePlace => ({
  address: instance.address,
  port: instance.port,
  host: `${app}.${domain}`,
  launcher: image.launcher,
  containerId: instance.containerId,
  docker,
});

/** The question of a check to one instance, to be asked any number of times, one after the other. */
export function askOf({ probe, port, timeoutMs }: Check, place: ProbePlace): Ask {
  // Nobody must be asked in its place: without an address, that would be this machine.
  if (place.address === '') return async () => 'it does not run';
  const at = { ...place, port: port ?? place.port };
  const ask = questions[probe.kind] as (probe: Probe, place: ProbePlace, timeoutMs: number) => Ask;
  return ask(probe, at, timeoutMs);
}

type Questions = { readonly [K in Probe['kind']]: (probe: Extract<Probe, { kind: K }>, place: ProbePlace, timeoutMs: number) => Ask };

const questions: Questions = {
  tcp: (_probe, place, timeoutMs) => (signal) => askTcp(place, timeoutMs, signal),
  http: (probe, place, timeoutMs) => (signal) => askHttp({ probe, place, timeoutMs, signal }),
  command: (probe, place, timeoutMs) => askCommand(probe.argv, place, timeoutMs),
  uptime: (probe, place) => async () => await askUptime(probe.uptimeMs, place),
};

function askTcp({ address, port }: ProbePlace, timeoutMs: number, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host: address, port, signal, timeout: timeoutMs });
  const end = (answer?: string): void => {
    socket.destroy();
    resolve(answer);
  };
  socket.once('connect', () => end());
  socket.once('timeout', () => end(noAnswer(timeoutMs)));
  socket.on('error', (error: NodeJS.ErrnoException) => end(reasonOf(error)));
  return promise;
}

interface HttpQuestion {
  readonly probe: Extract<Probe, { kind: 'http' }>;
  readonly place: ProbePlace;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** How far into a body its content is looked for. */
const maxBodyLength = 1024 * 1024;

async function askHttp({ probe, place, timeoutMs, signal }: HttpQuestion): Promise<string | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs))]);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { host: place.host, 'user-agent': 'forge-check', ...probe.headers };
  const call = request({ host: place.address, port: place.port, path: probe.path, headers, agent: false, signal: limit });
  call.once('response', resolve);
  call.on('error', reject);
  // Also the end of a connection without an answer, or with one that changes the protocol, of which there is no error.
  call.once('close', () => reject(new Error('closed the connection without an answer')));
  call.end();
  try {
    const response = await promise;
    // What ends the connection early is this side; it is no failure.
    response.on('error', () => undefined);
    return statusProblem(probe.status, response.statusCode ?? 0) ?? (await contentProblem(probe.content, response, limit));
  } catch (error) {
    return limit.aborted ? noAnswer(timeoutMs) : reasonOf(error as NodeJS.ErrnoException);
  } finally {
    call.destroy();
  }
}

function statusProblem(expected: number | undefined, status: number): string | undefined {
  if (expected === undefined) return status >= 200 && status < 400 ? undefined : `answered ${status}`;
  return status === expected ? undefined : `answered ${status}, expected ${expected}`;
}

async function contentProblem(expected: string | undefined, response: IncomingMessage, limit: AbortSignal): Promise<string | undefined> {
  if (expected === undefined) return undefined;
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) {
    body += String(chunk);
    if (body.includes(expected)) return undefined;
    if (body.length > maxBodyLength) break;
  }
  if (limit.aborted) throw abortError(limit);
  const shown = body.trim() === '' ? 'is empty' : `begins with ${JSON.stringify(body.slice(0, 80))}`;
  return `answered ${response.statusCode} without ${JSON.stringify(expected)} in its body, which ${shown}`;
}

function askCommand(argv: readonly string[], { docker, containerId, launcher }: ProbePlace, timeoutMs: number): Ask {
  const command = createRepeatedCommand(docker, { containerId, argv: launcher === undefined ? argv : [launcher, '--', ...argv] });
  return async (signal) => {
    try {
      const { exitCode, output } = await command.run(timeoutMs, signal);
      return exitCode === 0 ? undefined : `ended with status ${exitCode}${lastLineOf(output)}`;
    } catch (error) {
      if (signal.aborted || !isForgeError(error) || error.code === 'unavailable') throw error;
      return error.code === 'timeout' ? noAnswer(timeoutMs) : error.message;
    }
  };
}

function lastLineOf(output: string): string {
  const line = output.trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line.slice(0, 200)}`;
}

async function askUptime(uptimeMs: number, { docker, containerId }: ProbePlace): Promise<string | undefined> {
  const { State } = await inspectContainer(docker, containerId);
  if (!State.Running) return 'does not run';
  const upMs = Date.now() - Date.parse(State.StartedAt);
  return upMs >= uptimeMs ? undefined : `has run for ${(upMs / 1000).toFixed(1)} s`;
}

const noAnswer = (timeoutMs: number): string => `no answer within ${timeoutMs / 1000} s`;

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused (nothing listens there)',
  EHOSTUNREACH: 'host unreachable',
  ECONNRESET: 'connection reset',
};

const reasonOf = ({ code, message }: NodeJS.ErrnoException): string => reasons[code ?? ''] ?? message;
