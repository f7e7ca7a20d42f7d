/**
 * Ends attempts that nobody carries on: those of a forge that was killed, and those whose end could not be stored. The git
 * ref is the witness of an unconfirmed swap.
 */
import { appendFile } from 'node:fs/promises';
import type { Deployment } from '../domain.ts';
import type { Log } from '../log.ts';
import { endDeployment, type Ending } from '../store/app-state.ts';
import { findApp } from '../store/apps.ts';
import { findUnfinishedDeployments, findVersionLiveBefore, updateDeployment } from '../store/deployments.ts';
import { owesFirstPostdeploy } from '../store/first-postdeploy.ts';
import { findRelease, setCurrentRelease } from '../store/releases.ts';
import type { Store } from '../store/store.ts';
import { deploymentLogPath, type Attempts } from './attempt.ts';

export interface RecoverParts {
  readonly store: Store;
  /** The data directory. */
  readonly data: string;
  readonly attempts: Pick<Attempts, 'isUnderWay' | 'endOf'>;
  /** The commit that the branch of the app's repository names, `undefined` without one. */
  resolveRef(app: string, ref: string): Promise<string | undefined>;
  readonly log: Log;
}

/** Of one app, in its turn; of all, before anything new can start. Throws the first reason why one could not be ended, after all others. */
export async function recover(parts: RecoverParts, app?: string): Promise<void> {
  const failures: unknown[] = [];
  for (const deployment of findUnfinishedDeployments(parts.store, app)) {
    if (!parts.attempts.isUnderWay(deployment.id)) await settle(deployment, parts).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function settle(deployment: Deployment, parts: RecoverParts): Promise<void> {
  const { store, log, data, attempts } = parts;
  const { id, app } = deployment;
  const known = attempts.endOf(id);
  const ending = known ?? ((await hasGoneLive(deployment, parts)) ? ({ status: 'succeeded' } as const) : interrupted);
  const warning = ending.status === 'succeeded' && !known ? cutOffTask(deployment, store) : undefined;
  store.db.transaction(() => {
    if (ending.status !== 'succeeded') takeBackUnrecorded(deployment, store);
    if (warning !== undefined) updateDeployment(store, id, { warning });
    endDeployment(store, id, ending);
  });
  log.info({ app, deployment: id, status: ending.status }, 'an attempt that nobody carried on was ended');
  if (!known) await appendFile(deploymentLogPath(data, id), lastLines(deployment, { ...ending, warning }, store), { mode: 0o600 }).catch((error: unknown) => log.warn({ err: error, deployment: id }, 'the deployment log could not be written'));
}

const interrupted: Ending = { status: 'failed', failure: 'interrupted: forge was stopped while it went on' };

/** Its release is current, and for a push git has moved the ref: the pusher was told yes, or would have been. */
async function hasGoneLive(deployment: Deployment, { store, resolveRef }: RecoverParts): Promise<boolean> {
  const app = findApp(store, deployment.app);
  if (deployment.version === undefined || app?.currentVersion !== deployment.version) return false;
  if (deployment.origin.kind !== 'git') return true;
  return (await resolveRef(deployment.app, `refs/heads/${deployment.origin.branch}`)) === deployment.origin.commit;
}

/** Its release is current, and no record tells what was before: a forge that kept none made it so. */
function takeBackUnrecorded(deployment: Deployment, store: Store): void {
  const app = findApp(store, deployment.app);
  if (deployment.version === undefined || app?.currentVersion !== deployment.version) return;
  setCurrentRelease(store, deployment.app, findVersionLiveBefore(store, deployment.app, deployment.version));
}

/** What a release that is live may lack: its postdeploy was under way, or about to be. A push is confirmed after that, and what has failed has its warning. */
function cutOffTask({ app, version, origin, warning }: Deployment, store: Store): string | undefined {
  const tasks = version === undefined ? undefined : findRelease(store, app, version)?.appFile.tasks;
  if (!tasks || origin.kind === 'git' || origin.kind === 'change' || warning !== undefined) return undefined;
  const isOwed = tasks.firstPostdeploy !== undefined && owesFirstPostdeploy(store, app);
  if (!isOwed && tasks.postdeploy === undefined) return undefined;
  const next = isOwed ? ': scripts.postdeploy of app.json runs again at the next deploy' : '';
  return `v${version} is live; forge was stopped before its postdeploy task was known to have ended${next}`;
}

/** What who reads the log later has to know; the person who started it may have read nothing. */
function lastLines({ app: name, version }: Deployment, { status, failure, warning }: Ending & { readonly warning: string | undefined }, store: Store): string {
  if (status === 'succeeded') return `=====> forge was stopped right after the swap; v${version} is live\n${warning === undefined ? '' : ` !     ${warning}\n`}`;
  const current = findApp(store, name)?.currentVersion;
  return ` !     ${failure}\n !     ${current === undefined ? 'nothing serves yet' : `v${current} goes on serving`}: try again\n`;
}
