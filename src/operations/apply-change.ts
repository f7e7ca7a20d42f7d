/** What happens after config or settings changed: new instances with them, started beside the old. */
import type { App } from '../domain.ts';
import { isForgeError } from '../errors.ts';
import { getApp } from '../store/apps.ts';
import type { Context } from './operation.ts';

export interface Applied {
  /** Release that carries the change, or why none does yet. */
  readonly release: number | undefined;
  readonly pending: 'no-release' | 'no-restart' | undefined;
}

/**
 * Restarts the app on a new release with the config and settings of now, unless there is nothing to restart or it was
 * not wanted. When the new instances do not come up, the old ones go on and the change stays stored: the error says so.
 */
export async function applyChange(name: string, change: { readonly reason: string; readonly restart: boolean }, context: Context): Promise<Applied> {
  const { session, services, progress } = context;
  const app: App = getApp(services.store, name);
  if (app.currentVersion === undefined) return { release: undefined, pending: 'no-release' };
  if (!change.restart) return { release: undefined, pending: 'no-restart' };
  try {
    const release = await services.deployer.redeploy({ app: name, actor: session.actor, reason: change.reason, output: progress, signal: session.signal });
    return { release: release.version, pending: undefined };
  } catch (error) {
    if (isForgeError(error)) session.stderr.write(` !     ${change.reason}: stored, but not live: v${app.currentVersion} goes on serving\n`);
    throw error;
  }
}

export function printApplied(name: string, { release, pending }: Applied): string {
  if (release !== undefined) return `${name} runs v${release} with it`;
  return pending === 'no-release' ? `${name} has no release yet: it takes effect with the first deploy` : `it takes effect with the next deploy or ps:restart`;
}
