/**
 * A push, from its source to a release that serves. Read it top down: the story is `deploy`, the steps follow in its order.
 * Whatever fails before the swap leaves the old release serving; what fails after it swaps back.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { detect } from '../build/detect.ts';
import { checkFreeSpace, watchFreeSpace } from '../build/free-space.ts';
import { receiveSource } from '../build/source.ts';
import type { Config } from '../config.ts';
import { emptyAppFile } from '../app-file.ts';
import type { Plan, Release, Source } from '../domain.ts';
import type { AppState } from '../store/app-state.ts';
import { getConfig } from '../store/app-config.ts';
import { createRelease } from '../store/releases.ts';
import type { Attempt, AttemptRequest } from './attempt.ts';
import { candidateState, releaseDraft, type Code } from './candidate.ts';
import { goLive } from './go-live.ts';
import type { Turn } from './queue.ts';
import type { DeployParts } from './parts.ts';
import { startInstances } from './start-instances.ts';
import { appOf, takeTurn } from './turn.ts';

export interface DeployRequest extends AttemptRequest {
  /** Opens the tar of the source, once, when the turn has come; `undefined` for a prebuilt image. */
  openSource?(signal: AbortSignal): Promise<Readable>;
  /** Throws when the request is stale: something else went live while it waited. */
  verify(): Promise<void>;
  /** After the swap: makes the caller's side final (the git ref has moved) or throws; forge then swaps back. */
  confirm(): Promise<void>;
}

export async function deploy(request: DeployRequest, parts: DeployParts): Promise<Release> {
  const attempt = parts.attempts.open(request);
  try {
    using _turn = await takeAttemptTurn(attempt, parts, { isReplaceable: true });
    await request.verify();
    const code = await buildCode(request, attempt, parts);
    // Whoever pushes to a stopped app wants it to run.
    const state = { ...candidateState(appOf(request.app, parts.store), {}, parts.store), isStopped: false };
    const release = recordRelease({ code, state, attempt, request, parts });
    const started = await startInstances(release, attempt, parts);
    await goLive({ release, state: { ...state, version: release.version }, started, attempt, parts, confirm: () => request.confirm() });
    return release;
  } catch (error) {
    throw await attempt.fail(error);
  }
}

/** The turn of an attempt that makes a release. */
export async function takeAttemptTurn(attempt: Attempt, parts: DeployParts, { isReplaceable = false } = {}): Promise<Turn> {
  const { id, app, reason, report, signal } = attempt;
  parts.faults.reach('deployment-recorded');
  const turn = await takeTurn({ app, holder: `deployment ${id} (${reason})`, isReplaceable, isRelease: true, report, signal }, parts);
  parts.faults.reach('turn-taken');
  return turn;
}

async function buildCode(request: DeployRequest, attempt: Attempt, parts: DeployParts): Promise<Code> {
  await checkFreeSpace({ directories: parts.diskDirectories, minFreeBytes: parts.config.minFreeBytes });
  using _slot = await parts.builds.take(attempt.signal, (place) => attempt.report.step(`Waiting for a free build slot (place ${place} in line)`));
  attempt.enter('building');
  parts.faults.reach('build-started');
  const app = appOf(request.app, parts.store);
  const tarPath = join(parts.config.data, 'tmp', `${attempt.id}.tar`);
  try {
    const source = await receive(request, tarPath, attempt, parts.config);
    parts.faults.reach('source-received');
    const plan: Plan = request.origin.kind === 'image' ? imagePlan : detect(source, app.settings);
    for (const warning of plan.warnings) attempt.report.body(`warning: ${warning}`);
    attempt.report.step(`Building ${app.name} with ${plan.builder}: ${plan.reason}`);
    using space = watchFreeSpace({ directories: parts.diskDirectories, minFreeBytes: parts.config.minFreeBytes / 2, signal: attempt.signal });
    const image = await parts.builders[plan.builder].build({
      app: app.name,
      deploymentId: attempt.id,
      source,
      plan,
      settings: app.settings,
      config: getConfig(parts.store, app.name),
      origin: request.origin,
      report: attempt.report,
      signal: space.signal,
    });
    parts.faults.reach('image-built');
    return { image, appFile: plan.appFile, commit: request.origin.kind === 'git' ? request.origin.commit : undefined };
  } finally {
    await rm(tarPath, { force: true });
  }
}

const imagePlan: Plan = { builder: 'image', reason: 'a prebuilt image was asked for', procfile: new Map(), warnings: [], appFile: emptyAppFile };

async function receive(request: DeployRequest, path: string, attempt: Attempt, config: Config): Promise<Source> {
  if (!request.openSource) return { tarPath: path, sizeBytes: 0, paths: new Set(), files: new Map() };
  const stream = await request.openSource(attempt.signal);
  const limits = { maxBytes: config.sourceMaxBytes, maxEntries: config.sourceMaxEntries };
  return await receiveSource(stream, { path, limits, signal: attempt.signal });
}

/** Numbers and stores a release; it does not serve yet. */
export function recordRelease(draft: {
  readonly code: Code;
  readonly state: AppState;
  readonly attempt: Attempt;
  readonly request: Pick<AttemptRequest, 'actor' | 'reason'>;
  readonly parts: DeployParts;
}): Release {
  const { code, state, attempt, request, parts } = draft;
  const made = { by: request.actor.name, reason: request.reason, config: parts.config };
  const release = createRelease(parts.store, releaseDraft(attempt.app, code, state, made));
  attempt.enter('releasing', release.version);
  parts.faults.reach('release-recorded');
  return release;
}
