/**
 * A push, from its source to a release that serves. Read it top down: the story is `deploy`, the steps follow in its order.
 * Whatever fails before the swap leaves the old release serving; what fails after it swaps back.
 */
import type { Readable } from 'node:stream';
import type { Release } from '../domain.ts';
import { getConfig } from '../store/app-config.ts';
import type { AppState } from '../store/app-state.ts';
import { createRelease, type ReleaseDraft } from '../store/releases.ts';
import type { Attempt, AttemptRequest } from './attempt.ts';
import { buildCode } from './build-code.ts';
import { candidateState, releaseDraft, withAppFile, type Code } from './candidate.ts';
import { goLive } from './go-live.ts';
import type { Turn } from './queue.ts';
import type { DeployParts } from './parts.ts';
import { endUnchanged, servingAlready } from './serving-already.ts';
import { startInstances } from './start-instances.ts';
import { runPostdeploy, runPredeploy, runReleaseTask } from './tasks.ts';
import { appOf, takeTurn } from './turn.ts';

export interface DeployRequest extends AttemptRequest {
  /** Opens the tar of the source, once, when the turn has come; `undefined` for a prebuilt image. */
  openSource?(signal: AbortSignal): Promise<Readable>;
  /** A prebuilt image that serves already is deployed again. */
  readonly isForced?: boolean;
  /** Throws when the request is stale: something else went live while it waited. */
  verify(): Promise<void>;
  /** After the swap: makes the caller's side final (the git ref has moved) or throws; forge then swaps back. */
  confirm(): Promise<void>;
}

export async function deploy(request: DeployRequest, parts: DeployParts): Promise<Release> {
  const attempt = parts.attempts.open(request);
  try {
    using _turn = await takeAttemptTurn(attempt, parts, { isReplaceable: true });
    // Also what was set while this waited.
    attempt.hide(Object.values(getConfig(parts.store, request.app)));
    await request.verify();
    const { code: built, change } = await buildCode(request, attempt, parts);
    const serving = servingAlready(request, built, parts);
    if (serving) return await endUnchanged(serving, attempt);
    // Whoever pushes to a stopped app wants it to run.
    const state = { ...withAppFile(candidateState(appOf(request.app, parts.store), change, parts.store), built, parts.config), isStopped: false };
    const code = await runPredeploy(draftOf({ code: built, state, attempt, request, parts }), attempt, parts);
    const release = recordRelease({ code, state, attempt, request, parts });
    await runReleaseTask(release, attempt, parts);
    const started = await startInstances(release, attempt, parts);
    const confirm = async () => {
      // The pusher still reads: git's answer is the last that reaches them.
      await runPostdeploy(release, attempt, parts);
      await request.confirm();
    };
    await goLive({ release, state: { ...state, version: release.version }, started, attempt, parts, confirm });
    return release;
  } catch (error) {
    throw await attempt.fail(error);
  }
}

/** The turn of an attempt, which makes a release unless it says otherwise. */
export async function takeAttemptTurn(attempt: Attempt, parts: DeployParts, { isReplaceable = false, isRelease = true } = {}): Promise<Turn> {
  const { id, app, reason, report, signal } = attempt;
  parts.faults.reach('deployment-recorded');
  const turn = await takeTurn({ app, holder: `deployment ${id} (${reason})`, isReplaceable, isRelease, report, signal }, parts);
  parts.faults.reach('turn-taken');
  return turn;
}

interface Draft {
  readonly code: Code;
  readonly state: AppState;
  readonly attempt: Attempt;
  readonly request: Pick<AttemptRequest, 'actor' | 'reason'>;
  readonly parts: DeployParts;
}

const draftOf = ({ code, state, attempt, request, parts }: Draft): ReleaseDraft =>
  releaseDraft(attempt.app, code, state, { by: request.actor.name, reason: request.reason, config: parts.config });

/** Numbers and stores a release; it does not serve yet. */
export function recordRelease(draft: Draft): Release {
  const { attempt, parts } = draft;
  const release = createRelease(parts.store, draftOf(draft));
  attempt.enter('releasing', release.version);
  parts.faults.reach('release-recorded');
  return release;
}
