/** Apps as things, above deploys: their volumes, and what becomes of a whole app. */
import { createApps, type Apps } from '../apps/apps.ts';
import type { AppParts } from '../apps/parts.ts';
import { createVolumes, type Volumes } from '../apps/volumes.ts';

export interface AppThings {
  readonly volumes: Volumes;
  readonly apps: Apps;
}

export function wireApps(parts: Omit<AppParts, 'volumes'>): AppThings {
  const volumes = createVolumes({ ...parts, volumes: parts.runtime.volumes });
  return { volumes, apps: createApps({ ...parts, volumes }) };
}
