/** After a crash: every attempt that was under way ends with a reason. The git ref is the witness of an unconfirmed swap. */
import type { Deployment } from '../domain.ts';
import type { Log } from '../log.ts';
import { findApp } from '../store/apps.ts';
import { findUnfinishedDeployments, findVersionLiveBefore, updateDeployment } from '../store/deployments.ts';
import { setCurrentRelease } from '../store/releases.ts';
import { takeBack as restoreState } from '../store/app-state.ts';
import type { Store } from '../store/store.ts';

export interface RecoverParts {
  readonly store: Store;
  /** The commit that the branch of the app's repository names, `undefined` without one. */
  resolveRef(app: string, ref: string): Promise<string | undefined>;
  readonly log: Log;
}

/** Ends the attempts of an earlier run of forge. Runs before anything new can start. */
export async function recover(parts: RecoverParts): Promise<void> {
  for (const deployment of findUnfinishedDeployments(parts.store)) {
    const isSucceeded = await hasGoneLive(deployment, parts);
    const endedAt = new Date().toISOString();
    if (isSucceeded) {
      updateDeployment(parts.store, deployment.id, { status: 'succeeded', endedAt });
    } else {
      takeBack(deployment, parts.store);
      updateDeployment(parts.store, deployment.id, { status: 'failed', failure: 'interrupted: forge was stopped while it went on', endedAt });
    }
    parts.log.info({ app: deployment.app, deployment: deployment.id, isSucceeded }, 'a deployment was interrupted');
  }
}

/** Its release is current, and for a push git has moved the ref: the pusher was told yes, or would have been. */
async function hasGoneLive(deployment: Deployment, { store, resolveRef }: RecoverParts): Promise<boolean> {
  const app = findApp(store, deployment.app);
  if (deployment.version === undefined || app?.currentVersion !== deployment.version) return false;
  if (deployment.origin.kind !== 'git') return true;
  return (await resolveRef(deployment.app, `refs/heads/${deployment.origin.branch}`)) === deployment.origin.commit;
}

/** Makes the app what it was, when the interrupted attempt had got as far as the swap. */
function takeBack(deployment: Deployment, store: Store): void {
  if (restoreState(store, deployment.id)) return;
  // Recorded by a forge that kept no such record.
  const app = findApp(store, deployment.app);
  if (deployment.version === undefined || app?.currentVersion !== deployment.version) return;
  setCurrentRelease(store, deployment.app, findVersionLiveBefore(store, deployment.app, deployment.version));
}
