/** Puts a change of config or settings in force, and says what came of it. */
import type { AppChange } from '../deploy/candidate.ts';
import type { Applied } from '../deploy/changes.ts';
import { isForgeError } from '../errors.ts';
import { findApp } from '../store/apps.ts';
import type { Context } from './operation.ts';

export interface ChangeWish {
  readonly change: AppChange;
  /** "Set DATABASE_URL" */
  readonly reason: string;
  /** Whether running instances are replaced now. */
  readonly restart: boolean;
}

/** Throws what kept the new instances from serving; everything is as before then. */
export async function applyChange(app: string, wish: ChangeWish, { session, services, progress }: Context): Promise<Applied> {
  try {
    return await services.deployer.change({ app, actor: session.actor, ...wish, output: progress, signal: session.signal });
  } catch (error) {
    const version = findApp(services.store, app)?.currentVersion;
    if (isForgeError(error) && version !== undefined) session.stderr.write(` !     ${wish.reason}: not in force and not stored; v${version} goes on serving as it was\n`);
    throw error;
  }
}

export function printApplied(name: string, { release, pending }: Applied): string {
  if (pending === 'unchanged') return `nothing changed on ${name}`;
  if (release !== undefined) return `${name} runs v${release} with it`;
  return pending === 'no-release' ? `${name} has no release yet: it takes effect with the first deploy` : `it takes effect with the next deploy or ps:restart`;
}
