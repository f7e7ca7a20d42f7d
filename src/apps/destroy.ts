/** An app goes with everything that is its own. What has begun is finished, by the next start of forge if it must be. */
import { rm } from 'node:fs/promises';
import { deploymentLogPath } from '../deploy/attempt.ts';
import { retireOptions } from '../deploy/retire-options.ts';
import { takeTurn } from '../deploy/turn.ts';
import { deleteApp, getApp, updateApp } from '../store/apps.ts';
import { findDeployments } from '../store/deployments.ts';
import { findOtherImages, findReleaseImages } from '../store/release-images.ts';
import { dropVolume, findVolumes } from '../store/volumes.ts';
import type { AppParts, AppRequest } from './parts.ts';

/** Throws `conflict` for a locked app. When it throws later, the removal has begun: forge goes on with it by itself. */
export async function destroy({ app, report, signal }: AppRequest & { readonly app: string }, parts: AppParts): Promise<void> {
  using _turn = getApp(parts.store, app).isBeingRemoved
    ? await parts.queue.take(app, { holder: 'a removal', isReplaceable: false, signal })
    : await takeTurn({ app, holder: 'a removal', isRelease: true, signal, report }, parts);
  updateApp(parts.store, app, { isBeingRemoved: true });
  await removeEverything(app, parts);
}

/** In the app's turn. Every step may have been done before; the row goes last. */
export async function removeEverything(name: string, parts: AppParts): Promise<void> {
  const { store, live, runtime, repositories, logs, config } = parts;
  const app = getApp(store, name);
  const serving = live.servingOf(name);
  await live.remove(name);
  await live.retire(serving, { ...retireOptions(app, config), drainTimeoutMs: 0 });
  await runtime.removeApp(name);
  for (const volume of findVolumes(store, name)) dropVolume(store, name, volume.name);
  await parts.volumes.sweep();
  await removeImages(name, parts);
  await repositories.remove(name);
  await logs.removeApp(name);
  for (const { id } of findDeployments(store, { app: name, limit: Infinity })) await rm(deploymentLogPath(config.data, id), { force: true });
  deleteApp(store, name);
}

/** Images may be shared: a clone runs what it was cloned from, and a renamed app what was built under its old name. */
async function removeImages(name: string, { store, runtime, forgetBuilds }: AppParts): Promise<void> {
  const shared = findOtherImages(store, name);
  // An image that somebody else built was there before the app.
  const own = new Set(findReleaseImages(store, name).filter(({ reference, builder }) => builder !== 'image' && !shared.has(reference)).map(({ reference }) => reference));
  await forgetBuilds(name, shared);
  for (const reference of own) await runtime.images.remove(reference);
}
