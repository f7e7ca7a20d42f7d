/** The one door to dockerode: connection and translation of its errors. Everything else in this folder takes the `Docker` made here. */
import Docker from 'dockerode';
import { abortError, ForgeError, isForgeError } from '../errors.ts';

export type { ContainerCreateOptions, default as Docker, MountSettings } from 'dockerode';

/** A client of the engine behind the socket; nothing is asked of the engine yet. */
export const connectDocker = (socketPath: string): Docker => new Docker({ socketPath });

interface EngineError extends Error {
  readonly statusCode?: number;
  readonly code?: string;
  readonly json?: { readonly message?: string };
}

const unreachable = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ECONNRESET', 'EPIPE']);

/**
 * Awaits a call of the engine and translates its failure: engine gone → `unavailable`, no such thing → `not-found`,
 * name taken → `conflict`, anything else → `failed`. `what` completes "could not …", such as "start web.1".
 */
export async function engineCall<T>(what: string, call: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    throw translate(what, error);
  }
}

/** The error as ours; ours pass through. */
export function translate(what: string, error: unknown): ForgeError {
  if (isForgeError(error)) return error;
  const { statusCode, code, json, message } = error as EngineError;
  const reason = json?.message ?? message;
  if (statusCode === undefined && code !== undefined && unreachable.has(code)) {
    return new ForgeError('unavailable', `could not ${what}: the Docker Engine does not answer (${code})`, {
      hint: 'start it (systemctl start docker) and try again; forge goes on by itself once it is back',
      cause: error,
    });
  }
  const kind = statusCode === 404 ? 'not-found' : statusCode === 409 ? 'conflict' : 'failed';
  return new ForgeError(kind, `could not ${what}: ${reason}`, { cause: error });
}
