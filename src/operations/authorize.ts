/** Who may do what: the one place that decides. Denies unless a rule allows. */
import { permissions } from '../domain.ts';
import type { Actor, Permission } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { noSuchApp } from '../store/apps.ts';

/** A level on an app; `admin` of the machine; or `anyone` whom forge knows. */
export type RequiredPermission = Permission | 'admin' | 'anyone';

/**
 * Returns if the actor may. Throws `not-found` for an app that the actor may not see, in the words of an app that is
 * missing; `forbidden` when the app is visible but the level too low, or when an admin is needed.
 */
export function authorize(actor: Actor, required: RequiredPermission, app: string | undefined): void {
  if (required === 'anyone') return;
  if (app !== undefined && !canSee(actor, app)) throw noSuchApp(app);
  if (required === 'admin') {
    if (actor.isAdmin) return;
    throw new ForgeError('forbidden', `${actor.name} may not do this: it needs an admin`, { hint: 'ask an admin of this forge, or run it on the machine itself' });
  }
  if (app === undefined) throw new Error(`${required} is a permission on an app, and none was named`);
  if (actor.isAdmin || levelOf(actor.permission) >= levelOf(required)) return;
  throw new ForgeError('forbidden', `${actor.name} may ${actor.permission} ${app}, this needs ${required}`, { hint: 'ask an admin for that permission' });
}

/**
 * Returns if the actor may make an app of a name that nobody has, by deploying to it. Throws `not-found` otherwise: who
 * may not create apps cannot tell a free name from an app that they may not see.
 */
export function mayCreateApp(actor: Actor, app: string, { appCreation }: { readonly appCreation: boolean }): void {
  if (!canCreateApps(actor)) throw noSuchApp(app);
  if (!appCreation) throw new ForgeError('not-found', `there is no app ${JSON.stringify(app)}, and deploying makes none here`, { hint: `forge apps:create ${app} makes it` });
}

/** Whether the app exists for this actor. */
export const canSee = (actor: Actor, app: string): boolean =>
  (actor.isAdmin || actor.apps === 'all' || actor.apps.includes(app)) && levelOf(actor.permission) >= levelOf('view');

/** Whether the actor may make apps at all. */
export const canCreateApps = (actor: Actor): boolean => actor.isAdmin;

const levelOf = (permission: Permission): number => permissions.indexOf(permission);
