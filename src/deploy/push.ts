/**
 * A push, from git's first byte to its exit status. git asks in its pre-receive hook, before any ref moves; forge deploys
 * and then says yes or no. A yes is not yet a moved ref, so a deploy is final only when git has ended and the ref is there.
 */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ControlConnection } from '../control/server.ts';
import type { HookHello } from '../control/hello.ts';
import type { Actor } from '../domain.ts';
import type { Faults } from '../faults.ts';
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import type { GitIo, ServeGit } from '../git/fetch.ts';
import { isZero, planUpdates, type UpdatePlan } from '../git/plan-updates.ts';
import { receivePack } from '../git/receive-pack.ts';
import type { Repositories } from '../git/repositories.ts';
import type { Log } from '../log.ts';
import { parseAppName } from '../names.ts';
import { createReport, type Report } from '../report.ts';
import { untilAborted, withTimeout } from '../wait.ts';
import { reportFailure } from './attempt.ts';
import type { DeployRequest } from './deploy.ts';

/** How long git may take to move the ref and tell the client; then the client is taken for gone. */
const exitTimeoutMs = 20_000;
/** How long the hook may take to begin with the archive. */
const archiveTimeoutMs = 60_000;
const maxRecordedRefs = 20;

export interface PushParts {
  readonly repositories: Repositories;
  /** Socket that hooks connect to. */
  readonly hookSocketPath: string;
  /** Largest pack that is taken, in bytes. */
  readonly maxPackBytes: number;
  /** Throws unless the actor may push to the app, or may create it where it does not exist; the same error for what is not theirs and what does not exist. */
  authorize(actor: Actor, app: string): void | Promise<void>;
  /** Creates the app unless it exists. */
  ensureApp(actor: Actor, app: string): void | Promise<void>;
  /** Deploys; reports its own failures to `output`. */
  deploy(request: DeployRequest): Promise<unknown>;
  /** Keeps who pushed what and how that ended. */
  record(push: PushRecord): void;
  readonly log: Log;
  readonly faults?: Faults;
}

export interface PushRecord {
  readonly actor: Actor;
  readonly app: string;
  /** The first of them; `count` is how many there were. */
  readonly refs: readonly string[];
  readonly count: number;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
}

export interface Pushes {
  /** Resolves to the exit status of `git receive-pack`, after its deployment has ended. Throws before git has written anything. */
  readonly handlePush: ServeGit;
  /** Answers the hook of a push; ends the connection. */
  handleHook(connection: ControlConnection): Promise<void>;
}

/** A push under way, known by its secret until its hook has come. */
interface Push {
  readonly app: string;
  readonly actor: Actor;
  /** Aborts when the client has left; git goes on without it. */
  readonly left: AbortController;
  readonly exited: Promise<number>;
  /** The hook's answer and all that follows from it. */
  settled: Promise<void>;
}

export function createPushes(parts: PushParts): Pushes {
  const expected = new Map<string, Push>();

  const handlePush: ServeGit = async (io, app) => {
    parseAppName(app);
    await parts.authorize(io.actor, app);
    if (io.mode === 'advertise') return await advertise(io, app, parts);
    await parts.ensureApp(io.actor, app);
    const repositoryPath = await parts.repositories.ensure(app);
    const secret = randomBytes(32).toString('base64url');
    const exited = Promise.withResolvers<number>();
    const push: Push = { app, actor: io.actor, left: new AbortController(), exited: exited.promise, settled: Promise.resolve() };
    const leave = (): void => push.left.abort(abortError(io.signal));
    if (io.signal.aborted) leave();
    io.signal.addEventListener('abort', leave, { once: true });
    expected.set(secret, push);
    try {
      const status = await receive({ io, repositoryPath, signal: push.left.signal, secret }, parts);
      exited.resolve(status);
      await push.settled;
      parts.repositories.compact(app).catch((error: unknown) => parts.log.warn({ err: error, app }, 'a repository was not compacted'));
      return status;
    } finally {
      exited.resolve(128);
      expected.delete(secret);
      io.signal.removeEventListener('abort', leave);
    }
  };

  const handleHook = async (connection: ControlConnection): Promise<void> => {
    const { secret, updates } = connection.hello as HookHello;
    const push = expected.get(secret);
    if (!push) {
      createReport([connection.stderr]).problem('forge does not know this push, or its hook has already come');
      return await connection.exit(1);
    }
    // Good for one hook: what a push starts cannot speak for it again.
    expected.delete(secret);
    push.settled = answer(push, updates, connection, parts);
    await push.settled;
  };

  return { handlePush, handleHook };
}

/** What the repository holds, without making one for an app that was only asked about. */
async function advertise(io: GitIo, app: string, parts: PushParts): Promise<number> {
  const { repositories } = parts;
  const repositoryPath = (await repositories.exists(app)) ? repositories.pathOf(app) : await repositories.ensureEmpty();
  return await receive({ io, repositoryPath, signal: io.signal, secret: '' }, parts);
}

interface Receive {
  readonly io: GitIo;
  readonly repositoryPath: string;
  readonly signal: AbortSignal;
  readonly secret: string;
}

async function receive({ io, repositoryPath, signal, secret }: Receive, parts: PushParts): Promise<number> {
  const { hooksPath, environment } = parts.repositories;
  const { stdin, stdout, stderr, gitProtocol, mode = 'full' } = io;
  const env = {
    ...environment,
    FORGE_HOOK_SOCKET: parts.hookSocketPath,
    FORGE_PUSH_SECRET: secret,
    // The hook runs from the same code as forge: compiled, or the sources as they are.
    FORGE_HOOK_CODE: import.meta.filename.endsWith('.ts') ? 'src' : 'dist',
  };
  return await receivePack({ repositoryPath, hooksPath, mode, maxPackBytes: parts.maxPackBytes, gitProtocol, env, stdin, stdout, stderr, signal });
}

/** Decides, deploys and answers; never rejects. */
async function answer(push: Push, updates: HookHello['updates'], connection: ControlConnection, parts: PushParts): Promise<void> {
  const report = createReport([connection.stdout]);
  let outcome = 'ok';
  try {
    const plan = await planPush(push, updates, parts.repositories);
    for (const notice of plan.notices) report.body(notice);
    if (plan.deploy) await deployPush(push, plan.deploy, connection, parts);
    else if (push.left.signal.aborted) throw abortError(push.left.signal);
    await connection.exit(0);
  } catch (error) {
    const failure = error instanceof ReportedError ? error.cause : error;
    outcome = isForgeError(failure) ? failure.code : 'internal';
    if (failure === error) reportUnexpected(error, push, report, parts.log);
    await connection.exit(1);
  } finally {
    keepRecord(push, updates, outcome, parts);
  }
}

/** A record that cannot be kept (the disk is full) changes nothing about the push. */
function keepRecord({ actor, app }: Push, updates: HookHello['updates'], outcome: string, { record, log }: PushParts): void {
  const refs = updates.slice(0, maxRecordedRefs).map(({ ref }) => ref);
  try {
    record({ actor, app, refs, count: updates.length, outcome });
  } catch (error) {
    log.error({ err: error, app }, 'a push could not be recorded in the audit');
  }
}

async function planPush({ app }: Push, updates: HookHello['updates'], repositories: Repositories): Promise<UpdatePlan> {
  const [head, branches] = await Promise.all([repositories.headBranch(app), repositories.findBranches(app)]);
  return planUpdates(updates, { app, head: head ?? 'main', branches });
}

/** The pusher has read it already. */
class ReportedError extends Error {}

type Deployable = NonNullable<UpdatePlan['deploy']>;

async function deployPush(push: Push, planned: Deployable, connection: ControlConnection, parts: PushParts): Promise<void> {
  const { app, actor } = push;
  const { branch, commit } = planned;
  const signal = AbortSignal.any([push.left.signal, connection.signal]);
  try {
    await parts.deploy({
      app,
      actor,
      origin: { kind: 'git', branch, commit },
      reason: `Deploy ${commit.slice(0, 7)}`,
      output: connection.stdout,
      signal,
      openSource: async (turn) => await openArchive(commit, connection, AbortSignal.any([turn, signal])),
      verify: async () => await verify(push, planned, parts.repositories),
      confirm: async () => await confirm(push, planned, connection, parts),
    });
  } catch (error) {
    if (isForgeError(error)) throw new ReportedError(error.message, { cause: error });
    throw error;
  }
}

/** Asks the hook for the files; it answers with the tar, or with the reason why there is none. */
async function openArchive(commit: string, connection: ControlConnection, signal: AbortSignal): Promise<Readable> {
  const answered = Promise.withResolvers<void>();
  connection.onMessage((message) => {
    const { refusal, hint } = message as { refusal?: unknown; hint?: unknown };
    if (typeof refusal !== 'string') answered.resolve();
    else answered.reject(new ForgeError('failed', refusal, typeof hint === 'string' ? { hint } : {}));
  });
  connection.send({ archive: commit });
  await withTimeout(archiveTimeoutMs, 'git did not begin to send the files', () => answered.promise, signal);
  return connection.stdin;
}

/** The turn has come: is the ref still what the pusher saw? */
async function verify({ app }: Push, { branch, oldId, isFirst }: Deployable, repositories: Repositories): Promise<void> {
  const current = await repositories.resolveRef(app, `refs/heads/${branch}`);
  const head = isFirst && (await repositories.findBranches(app)).length > 0 ? await repositories.headBranch(app) : branch;
  if ((current ?? '') === (isZero(oldId) ? '' : oldId) && head === branch) return;
  throw new ForgeError('conflict', 'another push became live while you waited: push again (pull first if it is not yours)');
}

/** Says yes, waits for git's end and looks whether the ref has moved. */
async function confirm(push: Push, { branch, commit, isFirst }: Deployable, connection: ControlConnection, { repositories, faults }: PushParts): Promise<void> {
  const { app } = push;
  // Before the yes: after a crash in between, HEAD names a branch that does not exist yet, as with a new repository.
  if (isFirst) await repositories.setHeadBranch(app, branch);
  await connection.exit(0);
  faults?.reach('hook-answered');
  try {
    await withTimeout(exitTimeoutMs, 'git does not end', (signal) => untilAborted(push.exited, signal));
  } catch {
    // A client that does not read holds git up; without it git ends.
    push.left.abort(new ForgeError('canceled', 'the client does not read'));
    await withTimeout(exitTimeoutMs, `git did not end within ${(2 * exitTimeoutMs) / 1000} s`, () => push.exited).catch(() => undefined);
  }
  const found = await repositories.resolveRef(app, `refs/heads/${branch}`);
  if (found === commit) return;
  throw new ForgeError('failed', `git did not move ${branch} of ${app} to ${commit.slice(0, 7)}, so it is not deployed either`, {
    hint: 'another push may have been quicker, or the disk is full: push again',
  });
}

function reportUnexpected(error: unknown, { app }: Push, report: Report, log: Log): void {
  if (isForgeError(error)) return reportFailure(report, error);
  const id = randomBytes(4).toString('hex');
  log.error({ err: error, id, app }, 'internal error in a push');
  report.problem(`internal error (id ${id})`);
}
