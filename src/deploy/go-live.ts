/** The moment a release becomes the one that serves, and the way back when that is not to be. */
import type { App, Instance, Release } from '../domain.ts';
import { makeCurrent, takeBack, type AppState } from '../store/app-state.ts';
import type { Attempt } from './attempt.ts';
import type { DeployParts } from './parts.ts';
import { retireOptions } from './retire-options.ts';
import { bringBack, type Started } from './start-instances.ts';
import { appOf } from './turn.ts';

export interface GoLive {
  readonly release: Release;
  /** What the app is from now on; its version is the release's. */
  readonly state: AppState;
  readonly started: Started;
  readonly attempt: Attempt;
  readonly parts: DeployParts;
  /** Makes the caller's side final, or throws; forge then swaps back. */
  confirm(): Promise<void>;
}

/** Swap, tell, confirm, retire. Everything started is gone again when it throws, and the old release serves. */
export async function goLive(request: GoLive): Promise<void> {
  const { release, state, started, attempt, parts } = request;
  const { app } = release;
  const { store, live, log, faults } = parts;
  const before = appOf(app, store);
  let replaced: readonly Instance[] | undefined;
  try {
    attempt.commit();
    const owesFirstPostdeploy = before.currentVersion === undefined && release.appFile.tasks.firstPostdeploy !== undefined;
    makeCurrent(store, { app, deploymentId: attempt.id, state, owesFirstPostdeploy });
    faults.reach('release-current');
    replaced = await live.swap(app, started.instances);
    faults.reach('routes-swapped');
    // The engine may restart what crashes from here on; it need not be waited for.
    const promoted = parts.runtime.promote(started.instances).catch((error: unknown) => log.warn({ err: error, app }, 'instances could not be set to restart'));
    reportLive(release, attempt, parts);
    await request.confirm();
    faults.reach('push-confirmed');
    await promoted;
    faults.reach('instances-promoted');
  } catch (error) {
    const { currentVersion } = before;
    attempt.report.problem(currentVersion === undefined ? 'The release is taken back.' : `The release is taken back: v${currentVersion} goes on serving.`);
    await undo({ before, request, replaced }).catch((again: unknown) => log.error({ err: again, app }, 'the release could not be taken back at once; the reconciler does it'));
    throw error;
  }
  await attempt.succeed();
  faults.reach('deployment-succeeded');
  void live.retire(replaced, retireOptions(before, parts.config)).then(() => faults.reach('old-retired'));
}

interface Undo {
  readonly before: App;
  readonly request: GoLive;
  /** What served before; `undefined` when the swap was not made. */
  readonly replaced: readonly Instance[] | undefined;
}

async function undo({ before, request, replaced }: Undo): Promise<void> {
  const { started, attempt, parts } = request;
  const { store, live, runtime, config, faults } = parts;
  takeBack(store, attempt.id);
  faults.reach('release-taken-back');
  if (replaced === undefined) {
    await runtime.retire(started.instances, { stopTimeoutMs: 0 });
  } else {
    await live.swap(before.name, replaced);
    faults.reach('routes-swapped-back');
    // They may have requests in flight: these finish, as at any other swap.
    await live.retire(started.instances, { ...retireOptions(before, config), stopTimeoutMs: 0 });
  }
  await bringBack(before.name, started.stopped, parts);
}

function reportLive(release: Release, attempt: Attempt, parts: DeployParts): void {
  if ('web' in release.formation) {
    attempt.report.done('Application deployed:');
    attempt.report.body(parts.urlOf(release.app));
  } else {
    attempt.report.done(`Application deployed: v${release.version} (no web process, so no URL)`);
  }
}
