/** How a grant is written as flags, and read by people. */
import { z } from 'zod';
import { permissions } from '../domain.ts';
import type { Grant } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseAppName } from '../names.ts';
import { says } from './input-form.ts';

export const grantFields = {
  app: z.array(z.string().overwrite(parseAppName)).default([]).meta(says('Only this app; may be given again. Default: all apps', { short: 'a', placeholder: 'APP' })),
  permission: z.enum(permissions).optional().meta(says('What it may do: view < deploy < operate < manage; default deploy')),
  admin: z.boolean().default(false).meta(says('Everything, also keys, tokens and new apps')),
};

/** Throws `invalid` for an admin who is limited. */
export function grantOf({ app: apps, permission, admin }: { readonly app: readonly string[]; readonly permission?: Grant['permission'] | undefined; readonly admin: boolean }): Grant {
  if (!admin) return { isAdmin: false, permission: permission ?? 'deploy', apps: apps.length === 0 ? 'all' : [...new Set(apps)] };
  if (apps.length > 0 || permission !== undefined) throw new ForgeError('invalid', '--admin means everything: leave out --app and --permission');
  return { isAdmin: true, permission: 'manage', apps: 'all' };
}

export function printGrant(grant: Grant): string {
  if (grant.isAdmin) return 'admin';
  const apps = grant.apps === 'all' ? 'all apps' : grant.apps.length === 0 ? 'no app' : grant.apps.join(', ');
  return `${grant.permission} ${apps}`;
}
