/**
 * Expected failures. Anything else that is thrown is internal: logged whole, shown to people as
 * "internal error (id …)".
 */

/** One row per code: what the shell gets and what HTTP gets. */
export const errorTable = {
  invalid: { exit: 2, http: 400 },
  failed: { exit: 1, http: 422 },
  unauthenticated: { exit: 77, http: 401 },
  forbidden: { exit: 77, http: 403 },
  'not-found': { exit: 4, http: 404 },
  conflict: { exit: 5, http: 409 },
  superseded: { exit: 6, http: 409 },
  canceled: { exit: 130, http: 499 },
  timeout: { exit: 124, http: 504 },
  unavailable: { exit: 69, http: 503 },
  exhausted: { exit: 28, http: 507 },
  internal: { exit: 70, http: 500 },
} as const satisfies Record<string, { exit: number; http: number }>;

export type ErrorCode = keyof typeof errorTable;

export interface ForgeErrorOptions {
  /** What the person can do next, one sentence or a command. */
  readonly hint?: string;
  /** Lines that explain the failure, such as a container's last output. Shown below the message. */
  readonly details?: readonly string[];
  readonly cause?: unknown;
}

/** A failure that a person can understand and act on: what, which, why, what next. */
export class ForgeError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: readonly string[];
  /** Set by whoever has already shown it to the person: it is not shown again. */
  isReported = false;

  constructor(code: ErrorCode, message: string, options: ForgeErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'ForgeError';
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? [];
  }
}

export const isForgeError = (error: unknown): error is ForgeError => error instanceof ForgeError;

/** Exit status of a command that ended with this error. */
export const exitStatusOf = (error: unknown): number => errorTable[isForgeError(error) ? error.code : 'internal'].exit;

/** HTTP status of a request that ended with this error. */
export const httpStatusOf = (error: unknown): number => errorTable[isForgeError(error) ? error.code : 'internal'].http;

/** The abort reason as an error: a signal aborted without one of ours means "canceled". */
export function abortError(signal: AbortSignal): ForgeError {
  if (isForgeError(signal.reason)) return signal.reason;
  return new ForgeError('canceled', 'canceled', { cause: signal.reason });
}
