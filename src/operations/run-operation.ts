/** One path for every door: find the operation, read its input, authorize, run, record, print. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Session } from '../domain.ts';
import { exitStatusOf, ForgeError, isForgeError } from '../errors.ts';
import { recordAudit, type AuditRecord } from '../store/audit.ts';
import { findApp, noSuchApp } from '../store/apps.ts';
import { findDeployment } from '../store/deployments.ts';
import { createReport } from '../report.ts';
import { authorize, canSee, mayCreateApp } from './authorize.ts';
import { helpOf, usageOf } from './help.ts';
import type { Context, Operation } from './operation.ts';
import { findOperation, operations } from './operations.ts';
import { parseArguments } from './parse-arguments.ts';
import type { Services } from './services.ts';
import { createStyle } from './style.ts';
import { terminalOutput } from './terminal-output.ts';
import { write } from './write.ts';

/** Runs the session's command to its end and resolves to the exit status; failures are told on stderr. Never rejects. */
export async function runOperation(session: Session, services: Services): Promise<number> {
  const isAppsOwn = operations.some(({ name, aliases, hasOwnTerminal }) => hasOwnTerminal === true && [name, ...(aliases ?? [])].includes(session.argv[0] ?? ''));
  if (session.terminal === undefined || isAppsOwn) return await answerSession(session, services);
  const [stdout, stderr] = [terminalOutput(session.stdout), terminalOutput(session.stderr)];
  const status = await answerSession({ ...session, stdout: stdout.stream, stderr: stderr.stream }, services);
  await Promise.all([stdout.flush(), stderr.flush()]);
  return status;
}

async function answerSession(session: Session, services: Services): Promise<number> {
  let isJson = session.argv.includes('--json');
  try {
    const operation = findOperation(session.argv[0] ?? 'help');
    const parsed = parseArguments(operation, session.argv.slice(1));
    isJson = parsed.isJson;
    const style = createStyle(session.terminal !== undefined);
    if (parsed.isHelp) return await answer(session, `${helpOf(operation, style)}\n`);
    const progress = parsed.isJson ? session.stderr : session.stdout;
    const context: Context = { session, services, progress, isJson: parsed.isJson, style };
    const output = await perform(operation, parsed.input, context);
    const text = parsed.isJson ? printJson(output) : operation.print(output, context);
    return await answer(session, text === undefined ? '' : `${text}\n`, operation.exitStatus?.(output));
  } catch (error) {
    return tell(error, { session, services, isJson });
  }
}

/** Checks the input and the permission, runs, and records changes with how they ended. */
export async function perform(operation: Operation, raw: Readonly<Record<string, unknown>>, context: Context): Promise<unknown> {
  const { session, services } = context;
  const input = checkInput(operation, raw);
  const app = targetOf(operation, input, context);
  const isThere = app !== undefined && findApp(services.store, app) !== undefined;
  if (operation.target === 'new-app' && !isThere) mayCreateApp(session.actor, app ?? '', services.config);
  else authorize(session.actor, operation.permission, app);
  if (operation.target === 'app' && !isThere) throw noSuchApp(app ?? '');
  if (!operation.isChange) return await operation.run(input, context);
  let outcome = 'failed';
  try {
    const output = await operation.run(input, context);
    outcome = 'ok';
    return output;
  } catch (error) {
    outcome = isForgeError(error) ? error.code : 'internal';
    throw error;
  } finally {
    const named = app ?? (typeof input['app'] === 'string' ? input['app'] : undefined);
    keepRecord({ action: operation.name, app: named, details: { ...operation.audit?.(input), outcome } }, context);
  }
}

/** A record that cannot be kept (the disk is full) changes nothing about what has happened. */
function keepRecord(record: Pick<AuditRecord, 'action' | 'app' | 'details'>, { session, services }: Context): void {
  const { name, via } = session.actor;
  try {
    recordAudit(services.store, { actor: name, via, ...record });
  } catch (error) {
    services.log.error({ err: error, action: record.action, app: record.app }, 'an operation could not be recorded in the audit');
  }
}

function checkInput(operation: Operation, raw: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result = z.strictObject(operation.input.shape).safeParse(raw);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = String(issue?.path[0] ?? '');
  const isMissing = issue?.code === 'invalid_type' && raw[field] === undefined;
  const what = isMissing ? `${operation.name}: ${field} is missing` : `${operation.name}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`;
  throw new ForgeError('invalid', what, { hint: `usage: ${usageOf(operation)}` });
}

/** The app whose permission counts. A deployment of an app that the actor may not see is one that is not there. */
function targetOf(operation: Operation, input: Readonly<Record<string, unknown>>, { session, services }: Context): string | undefined {
  if (operation.target === 'machine') return undefined;
  if (operation.target === 'app' || operation.target === 'new-app') return String(input['app']);
  const id = String(input['deployment']);
  const deployment = findDeployment(services.store, id);
  if (deployment && canSee(session.actor, deployment.app)) return deployment.app;
  throw new ForgeError('not-found', `there is no deployment ${JSON.stringify(id.slice(0, 60))}`, { hint: 'forge deployments:list APP lists them' });
}

const printJson = (output: unknown): string | undefined => (output === undefined ? undefined : JSON.stringify(output, undefined, 2));

async function answer(session: Session, text: string, status = 0): Promise<number> {
  await write(session.stdout, text, session.signal);
  return status;
}

interface Told {
  readonly session: Session;
  readonly services: Services;
  readonly isJson: boolean;
}

function tell(error: unknown, { session, services, isJson }: Told): number {
  const failure = isForgeError(error) ? error : internal(error, services);
  const { code, message, hint, details } = failure;
  if (isJson) session.stderr.write(`${JSON.stringify({ error: { code, message, hint, details } })}\n`);
  else if (!failure.isReported) {
    const report = createReport([session.stderr]);
    report.problem(message);
    if (details.length > 0) report.body(details.join('\n'));
    if (hint !== undefined) report.problem(hint);
  }
  return exitStatusOf(failure);
}

function internal(error: unknown, { log }: Services): ForgeError {
  const id = randomBytes(4).toString('hex');
  log.error({ err: error, id }, 'internal error in an operation');
  return new ForgeError('internal', `internal error (id ${id})`, { hint: 'forge’s own log has the whole story under this id', cause: error });
}
