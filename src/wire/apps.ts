/** Apps as things, above deploys: their volumes. */
import { createVolumes, type Volumes } from '../apps/volumes.ts';
import type { DeployParts } from '../deploy/parts.ts';

export interface AppThings {
  readonly volumes: Volumes;
}

export function wireApps(parts: DeployParts): AppThings {
  return { volumes: createVolumes({ ...parts, volumes: parts.runtime.volumes }) };
}
