/** A push to a name that nobody has makes the app. */
import type { Actor } from '../domain.ts';
import { createApp, findApp, noSuchApp } from '../store/apps.ts';
import { recordAudit } from '../store/audit.ts';
import type { Core } from './core.ts';

/** Throws `not-found` for an app that is being removed, or is not whole yet: what a push made of it would be in the way of the next of that name. */
export async function ensureApp({ name, via }: Pick<Actor, 'name' | 'via'>, app: string, { store, repositories }: Pick<Core, 'store'> & { readonly repositories: Pick<Core['repositories'], 'remove'> }): Promise<void> {
  const found = findApp(store, app);
  if (found?.isBeingRemoved) throw noSuchApp(app);
  if (found) return;
  createApp(store, { name: app });
  // No await before: from here on other pushes find the app, and make its repository.
  const removed = repositories.remove(app);
  recordAudit(store, { actor: name, via, action: 'apps:create', app, details: { by: 'push' } });
  await removed;
}
