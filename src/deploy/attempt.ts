/** One attempt to change what an app serves: its deployment record, its log on disk, its report and its cancel switch. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { Actor, Deployment, DeploymentStatus, Origin } from '../domain.ts';
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import type { Faults } from '../faults.ts';
import type { Log } from '../log.ts';
import { createRedactor } from '../redact.ts';
import { createReport, type Report } from '../report.ts';
import { getConfig } from '../store/app-config.ts';
import { endDeployment, type Ending } from '../store/app-state.ts';
import { createDeployment, updateDeployment } from '../store/deployments.ts';
import type { Store } from '../store/store.ts';
import { withTimeout } from '../wait.ts';
import { openDeploymentLog } from './deployment-log.ts';

export interface AttemptRequest {
  readonly app: string;
  readonly actor: Actor;
  readonly origin: Origin;
  /** "Deploy 3f2a91c" */
  readonly reason: string;
  /** What the person reads, live; the same lines go to the deployment's log. */
  readonly output: Writable;
  /** Aborts when the person left. */
  readonly signal: AbortSignal;
}

export interface Attempt {
  readonly id: string;
  readonly app: string;
  readonly reason: string;
  readonly report: Report;
  /** Aborts when the person left or somebody canceled, until the swap; afterwards nothing interrupts it. */
  readonly signal: AbortSignal;
  enter(status: DeploymentStatus, version?: number): void;
  /** Its record says this from here on: what it does was decided only now. */
  restate(reason: string): void;
  /** Keeps further values out of everything that is reported and stored from here on. */
  hide(values: readonly string[]): void;
  /** From here on it cannot be canceled: the swap is being made. Throws when it was canceled before. */
  commit(): void;
  /** Runs what comes after the swap; whoever cancels now, or stops forge, ends this alone. */
  interruptible<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Reports and records what went wrong although the release is live. */
  warn(text: string): void;
  /** Never throws: what cannot be stored now (the disk is full) is stored when the app's turn comes next. */
  succeed(): Promise<void>;
  /** Records and reports the failure, as far as it can; returns it as the error to throw on. */
  fail(error: unknown): Promise<ForgeError>;
}

export interface Attempts {
  open(request: AttemptRequest): Attempt;
  /** Aborts an attempt under way, or its task when it is past its swap: `not-found` when it has ended, `conflict` when there is no task either. */
  cancel(id: string, by: string): 'deployment' | 'task';
  isUnderWay(id: string): boolean;
  /** How an attempt of this run ended whose end could not be stored. */
  endOf(id: string): Ending | undefined;
  /** Cancels what is under way, except past the swap, and waits until all of it has ended. */
  close(): Promise<void>;
}

export interface AttemptsOptions {
  readonly store: Store;
  readonly data: string;
  readonly log: Log;
  readonly faults?: Faults;
}

interface Running {
  readonly controller: AbortController;
  readonly ended: PromiseWithResolvers<void>;
  isCommitted: boolean;
  /** What goes on after the swap and may be ended. */
  task: AbortController | undefined;
}

const closeTimeoutMs = 20_000;

export const deploymentLogPath = (data: string, id: string): string => join(data, 'deployments', `${id}.log`);

export function createAttempts({ store, data, log, faults }: AttemptsOptions): Attempts {
  const running = new Map<string, Running>();
  const unrecorded = new Map<string, Ending>();
  mkdirSync(join(data, 'deployments'), { recursive: true, mode: 0o700 });

  const open = (request: AttemptRequest): Attempt => {
    const deployment = createDeployment(store, { app: request.app, actor: request.actor.name, origin: request.origin, reason: request.reason });
    const state: Running = { controller: new AbortController(), ended: Promise.withResolvers(), isCommitted: false, task: undefined };
    running.set(deployment.id, state);
    const onEnd = (ending: Ending) => {
      try {
        endDeployment(store, deployment.id, ending);
      } catch (error) {
        log.error({ err: error, deployment: deployment.id }, 'the end of a deployment could not be stored; it is tried again');
        unrecorded.set(deployment.id, ending);
      }
      running.delete(deployment.id);
      state.ended.resolve();
    };
    return startAttempt({ deployment, request, state, store, log, faults, path: deploymentLogPath(data, deployment.id), onEnd });
  };

  const cancel: Attempts['cancel'] = (id, by) => {
    const state = running.get(id);
    if (!state) throw new ForgeError('not-found', `deployment ${id} is not under way`, { hint: 'deployments:list shows how it ended' });
    if (state.isCommitted && !state.task) throw new ForgeError('conflict', `deployment ${id} is already live and can no longer be canceled`);
    (state.task ?? state.controller).abort(new ForgeError('canceled', `canceled by ${by}`));
    return state.task ? 'task' : 'deployment';
  };

  const close = async (): Promise<void> => {
    const reason = new ForgeError('canceled', 'canceled: forge is being stopped', { hint: 'push again in a moment' });
    const all = [...running.values()];
    for (const { controller, isCommitted, task } of all) (isCommitted ? task : controller)?.abort(reason);
    const ended = Promise.all(all.map((state) => state.ended.promise));
    await withTimeout(closeTimeoutMs, 'deployments did not end in time', async () => await ended).catch((error: unknown) => log.warn({ err: error }, 'stopping all the same'));
  };

  return { open, cancel, close, isUnderWay: (id) => running.has(id), endOf: (id) => unrecorded.get(id) };
}

interface AttemptParts {
  readonly deployment: Deployment;
  readonly request: AttemptRequest;
  readonly state: Running;
  readonly store: Store;
  readonly log: Log;
  readonly faults: Faults | undefined;
  readonly path: string;
  onEnd(ending: Ending): void;
}

function startAttempt({ deployment, request, state, store, log, faults, path, onEnd }: AttemptParts): Attempt {
  const { id, app } = deployment;
  const onError = (error: unknown): void => log.error({ err: error, deployment: id }, 'the deployment log could not be written');
  const file = openDeploymentLog({ path, onOpen: () => faults?.reach('log-opened'), onError });
  const secrets = new Set(Object.values(getConfig(store, app)));
  let redact = createRedactor([...secrets]);
  const report = createReport([request.output, file.output], (text) => redact(text));
  const leave = () => {
    if (!state.isCommitted) state.controller.abort(new ForgeError('canceled', 'canceled: the client left before the release was live'));
  };
  if (request.signal.aborted) leave();
  request.signal.addEventListener('abort', leave, { once: true });

  const end = async (status: Ending['status'], failure?: string): Promise<void> => {
    request.signal.removeEventListener('abort', leave);
    await file.close();
    onEnd({ status, failure });
  };

  return {
    id,
    app,
    reason: deployment.reason,
    report,
    signal: state.controller.signal,
    enter: (status, version) =>
      updateDeployment(store, id, { status, ...(version === undefined ? {} : { version }), ...(status === 'building' ? { startedAt: new Date().toISOString() } : {}) }),
    restate: (reason) => void updateDeployment(store, id, { reason }),
    hide: (values) => {
      for (const value of values) secrets.add(value);
      redact = createRedactor([...secrets]);
    },
    commit: () => {
      if (state.controller.signal.aborted) throw abortError(state.controller.signal);
      state.isCommitted = true;
    },
    interruptible: async (task) => {
      state.task = new AbortController();
      try {
        return await task(state.task.signal);
      } finally {
        state.task = undefined;
      }
    },
    warn: (text) => {
      report.problem(text);
      updateDeployment(store, id, { warning: redact(text) });
    },
    succeed: async () => await end('succeeded'),
    fail: async (error) => {
      const failure = expected(error, log, id);
      reportFailure(report, failure);
      failure.isReported = true;
      await end(statusOf(failure), redact(failure.message));
      return failure;
    },
  };
}

const statusOf = ({ code }: ForgeError): Ending['status'] => (code === 'canceled' || code === 'superseded' ? code : 'failed');

/** Ours as they are; anything else is logged whole and shown by its id alone. */
function expected(error: unknown, log: Log, id: string): ForgeError {
  if (isForgeError(error)) return error;
  log.error({ err: error, deployment: id }, 'internal error in a deployment');
  return new ForgeError('internal', `internal error (id ${id})`, { hint: 'forge’s own log has the whole of it under this id', cause: error });
}

/** The failure as a pusher reads it: message, the lines that explain it, what to do next. */
export function reportFailure(report: Report, failure: ForgeError): void {
  report.problem(failure.message);
  for (const line of failure.details) report.body(line);
  if (failure.hint) report.problem(failure.hint);
}
