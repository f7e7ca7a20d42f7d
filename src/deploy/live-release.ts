/** The release that serves, and whether what the app is set to now differs from it. */
import { isDeepStrictEqual } from 'node:util';
import type { App, AppSettings, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { readAppState } from '../store/app-state.ts';
import { findRelease } from '../store/releases.ts';
import type { DeployParts } from './parts.ts';

/** The release that serves, or `conflict` before the first. */
export function liveRelease(app: App, { store }: Pick<DeployParts, 'store'>): Release {
  const release = app.currentVersion === undefined ? undefined : findRelease(store, app.name, app.currentVersion);
  if (!release) throw new ForgeError('conflict', `${app.name} has no release yet`, { hint: 'push its code first' });
  return release;
}

/** Whether config or settings differ from what the live release was made with. */
export function hasPendingChange(app: App, parts: Pick<DeployParts, 'store'>): boolean {
  if (app.isStopped) return false;
  const { config, settings } = liveRelease(app, parts);
  const now = readAppState(parts.store, app.name);
  // How it is built matters to the next build alone.
  const running = (one: AppSettings) => ({ ...one, builder: undefined, buildArgs: [] });
  return !isDeepStrictEqual({ config: now.config, settings: running(now.settings) }, { config, settings: running(settings) });
}
