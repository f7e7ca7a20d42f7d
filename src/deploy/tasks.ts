/** The tasks of a deploy: predeploy and release decide whether it goes on, postdeploy comes too late for that. */
import { randomBytes } from 'node:crypto';
import { taskCommand } from '../build/process-command.ts';
import type { Release } from '../domain.ts';
import { type ForgeError, isForgeError } from '../errors.ts';
import type { TaskType } from '../labels.ts';
import { owesFirstPostdeploy, setOwesFirstPostdeploy } from '../store/first-postdeploy.ts';
import { nextVersion } from '../store/releases.ts';
import type { Attempt } from './attempt.ts';
import type { Code } from './candidate.ts';
import type { ReleaseDraft } from '../store/releases.ts';
import type { DeployParts } from './parts.ts';

/** Runs predeploy in the image that was built; its changes become part of the image. Throws as `Runtime.runTask` does. */
export async function runPredeploy(draft: ReleaseDraft, attempt: Attempt, parts: DeployParts): Promise<Code> {
  const { image, appFile, commit } = draft;
  const line = appFile.tasks.predeploy;
  // Nobody can take the number: the turn is held.
  const release: Release = { ...draft, version: nextVersion(parts.store, draft.app), createdAt: '' };
  const keepAs = `forge/${draft.app}:${attempt.id}-${randomBytes(8).toString('hex')}`;
  const kept = line === undefined ? undefined : await runTask({ task: 'predeploy', line, release, keepAs, signal: attempt.signal }, attempt, parts);
  parts.faults.reach('predeploy-done');
  return { image: kept === undefined ? image : { ...image, reference: kept, digest: kept }, appFile, commit };
}

/** Runs the release command before anything of the release starts. Throws as `Runtime.runTask` does. */
export async function runReleaseTask(release: Release, attempt: Attempt, parts: DeployParts): Promise<void> {
  const line = release.appFile.tasks.release;
  if (line !== undefined) await runTask({ task: 'release', line, release, signal: attempt.signal }, attempt, parts);
  parts.faults.reach('release-task-done');
}

/** Runs what comes after the swap. Never fails a deploy: the release serves, and what went wrong is said and kept as a warning. */
export async function runPostdeploy(release: Release, attempt: Attempt, parts: DeployParts): Promise<void> {
  try {
    await runBoth(release, attempt, parts);
  } catch (error) {
    // What it did could not be written down, as with a full disk.
    parts.log.error({ err: error, deployment: attempt.id }, 'the outcome of a postdeploy task could not be recorded');
    attempt.report.problem('the outcome of the postdeploy task could not be recorded');
  }
  parts.faults.reach('postdeploy-done');
}

async function runBoth(release: Release, attempt: Attempt, parts: DeployParts): Promise<void> {
  const { app, appFile } = release;
  const { firstPostdeploy, postdeploy } = appFile.tasks;
  // Owed since the release was made current: a forge that is killed from there on leaves it to the next deploy.
  if (firstPostdeploy !== undefined && owesFirstPostdeploy(parts.store, app)) {
    const succeeded = await runAfterSwap(firstPostdeploy, release, attempt, parts);
    if (succeeded) setOwesFirstPostdeploy(parts.store, app, false);
    else attempt.report.body('scripts.postdeploy of app.json is to succeed once: it runs again at the next deploy');
  }
  if (postdeploy !== undefined) await runAfterSwap(postdeploy, release, attempt, parts);
}

interface Task {
  readonly task: TaskType;
  readonly line: string;
  readonly release: Release;
  readonly keepAs?: string;
  readonly signal: AbortSignal;
}

async function runTask({ task, line, release, ...rest }: Task, { id, report }: Attempt, { runtime, config }: DeployParts): Promise<string | undefined> {
  report.step(`Running ${task}: ${line}`);
  const commandFor = (imageEntrypoint: readonly string[]) => taskCommand(line, release.image, imageEntrypoint);
  return await runtime.runTask({ release, task, commandFor, deploymentId: id, timeoutMs: config.taskTimeout, report, ...rest });
}

async function runAfterSwap(line: string, release: Release, attempt: Attempt, parts: DeployParts): Promise<boolean> {
  try {
    await attempt.interruptible(async (signal) => await runTask({ task: 'postdeploy', line, release, signal }, attempt, parts));
    return true;
  } catch (error) {
    const { message, hint } = asExpected(error, attempt, parts);
    attempt.warn(`v${release.version} is live and stays live; ${message}${hint === undefined ? '' : `: ${hint}`}`);
    return false;
  }
}

/** A bug or an engine that is away must not take back a release that serves. */
function asExpected(error: unknown, { id }: Attempt, { log }: DeployParts): Pick<ForgeError, 'message' | 'hint'> {
  if (isForgeError(error)) return error.code === 'canceled' ? { message: `the postdeploy task was ${error.message}`, hint: undefined } : error;
  log.error({ err: error, deployment: id }, 'internal error in a postdeploy task');
  return { message: `the postdeploy task failed by an internal error (id ${id})`, hint: undefined };
}
