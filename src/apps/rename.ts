/**
 * An app gets another name. Instances are started under the new one beside the old; then one transaction renames every row,
 * and the old ones retire. The journal in the database says which side of that moment an interrupted rename was on.
 */
import { defaultLimits } from '../config.ts';
import { formationOf } from '../deploy/formation.ts';
import { liveRelease } from '../deploy/live-release.ts';
import { retireOptions } from '../deploy/retire-options.ts';
import { bringBack, stopFirst } from '../deploy/start-instances.ts';
import { appOf } from '../deploy/turn.ts';
import type { App, Instance } from '../domain.ts';
import { releaseSubnetIndex } from '../store/network-slots.ts';
import { beginRename, endRename, findRenames, putRenameInForce } from '../store/rename-app.ts';
import type { AppParts, AppRequest } from './parts.ts';
import { takeBothTurns } from './take-both-turns.ts';

export interface RenameRequest extends AppRequest {
  readonly from: string;
  readonly to: string;
}

/** Throws `conflict` when the new name is taken or the app is locked, and whatever kept the instances from starting: then nothing has changed. */
export async function rename(request: RenameRequest, parts: AppParts): Promise<void> {
  const { from, to, report } = request;
  const { store, live, config } = parts;
  using _turns = await takeBothTurns({ ...request, holder: 'a rename', isRelease: true }, parts);
  const app = appOf(from, store);
  beginRename(store, request);
  const { started, stopped } = await prepare(app, request, parts);
  const old = live.servingOf(from);
  try {
    putRenameInForce(store, request);
  } catch (error) {
    await giveUp(request, { started, stopped }, parts);
    throw error;
  }
  // No await since: nobody comes between the rows and the folder. What fails from here on is finished later, never undone.
  moveCode(request, parts);
  report.step(`${from} is ${to} from now on`);
  await parts.runtime.promote(started).catch((error: unknown) => parts.log.warn({ err: error, app: to }, 'instances could not be set to restart'));
  await live.remove(from);
  await live.retire(old, retireOptions(app, config));
  await finish(request, parts);
}

function moveCode({ from, to }: RenameRequest, { repositories, log }: AppParts): void {
  try {
    repositories.rename(from, to);
  } catch (error) {
    log.error({ err: error, from, to }, 'the code of a renamed app could not be moved yet; forge tries again');
  }
}

/** At the start of forge, before anything else: the code of an app whose rename was in force is found under its new name. */
export function recoverRenames({ store, repositories, log }: Pick<AppParts, 'store' | 'repositories' | 'log'>): void {
  for (const { from, to, isInForce } of findRenames(store)) {
    log.info({ from, to, isInForce }, 'a rename was interrupted');
    if (isInForce) repositories.rename(from, to);
  }
}

/** What interrupted renames left in the engine and on the disk, of the old name or the new one; tried again until it is done. */
export async function finishRenames(parts: AppParts): Promise<void> {
  for (const { from } of findRenames(parts.store)) {
    // Taken: it is not interrupted but under way.
    using turn = parts.queue.takeIfFree(from, 'a rename');
    // Read again: while others were finished it may have ended, come into force, or begun anew with another name.
    const found = turn && findRenames(parts.store).find((one) => one.from === from);
    if (!found) continue;
    if (found.isInForce) await finish(found, parts);
    else await undo(found, parts);
  }
}

interface Prepared {
  readonly started: readonly Instance[];
  /** Old ones that had to end first. */
  readonly stopped: readonly Instance[];
}

/** Instances under the new name, which serve its host beside the old ones. When it throws, none are left. */
async function prepare(app: App, request: RenameRequest, parts: AppParts): Promise<Prepared> {
  const { to, report, signal } = request;
  const { live, runtime, config } = parts;
  const prepared: { started: readonly Instance[]; stopped: readonly Instance[] } = { started: [], stopped: [] };
  try {
    // What a push left that came while an app of that name went: it would stand in the way of the code.
    await parts.repositories.remove(to);
    if (app.currentVersion === undefined || app.isStopped) return prepared;
    const release = liveRelease(app, parts);
    prepared.stopped = await stopFirst(release, { report, signal }, parts);
    report.step(`Starting ${to}`);
    const formation = formationOf(app, release.image.processTypes, defaultLimits(config));
    prepared.started = await runtime.startRelease({ release: { ...release, app: to, formation }, deploymentId: 'rename', report, signal });
    await live.swap(to, prepared.started);
    return prepared;
  } catch (error) {
    await giveUp(request, prepared, parts);
    throw error;
  }
}

/** Never throws: what is left is removed later. */
async function giveUp({ from, to }: RenameRequest, { started, stopped }: Prepared, parts: AppParts): Promise<void> {
  const { live, runtime, log } = parts;
  const undoAll = async (): Promise<void> => {
    await live.remove(to);
    await runtime.retire(started, { stopTimeoutMs: 0 });
    await undo({ from, to }, parts);
  };
  await undoAll().catch((error: unknown) => log.warn({ err: error, app: to }, 'what a failed rename left could not be removed yet; forge tries again'));
  await bringBack(from, stopped, parts);
}

/** Nothing is left under the new name, which was never in force. */
async function undo({ from, to }: Pick<RenameRequest, 'from' | 'to'>, { store, live, runtime, logs }: AppParts): Promise<void> {
  if (live.all().has(to)) await live.remove(to);
  await runtime.removeApp(to);
  await logs.removeApp(to);
  releaseSubnetIndex(store, to);
  endRename(store, from);
}

/** Every step may have been done before. */
async function finish({ from, to }: Pick<RenameRequest, 'from' | 'to'>, { store, live, repositories, runtime, logs }: AppParts): Promise<void> {
  repositories.rename(from, to);
  if (live.all().has(from)) await live.remove(from);
  await runtime.removeApp(from);
  await logs.renameApp(from, to);
  releaseSubnetIndex(store, from);
  endRename(store, from);
}
