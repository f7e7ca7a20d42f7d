/** What the doors may ask of deploy/: one object over the story, the changes and the attempts. */
import type { Actor, Formation, Release, Session } from '../domain.ts';
import { change, restart, scale, start, stop, type Applied, type ChangeRequest, type ReleaseChange } from './changes.ts';
import { deploy, type DeployRequest } from './deploy.ts';
import { liveRelease } from './live-release.ts';
import type { DeployParts } from './parts.ts';
import { rollback, type RollbackRequest } from './rollback.ts';
import { appOf } from './turn.ts';

export interface OneOffRequest {
  readonly app: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Process type whose limits it has; without one, those of `web`. */
  readonly limitsOf: string | undefined;
  readonly session: Session;
}

export interface Deployer {
  deploy(request: DeployRequest): Promise<Release>;
  /** Config and settings: a release of the live code with them, stored only once it serves. */
  change(request: ReleaseChange): Promise<Applied>;
  /** A new release with the code, the config, or both, of an earlier one. */
  rollback(request: RollbackRequest): Promise<Release>;
  restart(request: ChangeRequest): Promise<void>;
  scale(request: ChangeRequest & { readonly changes: Readonly<Record<string, number>> }): Promise<Formation>;
  stop(request: ChangeRequest): Promise<void>;
  start(request: ChangeRequest): Promise<void>;
  /** Ends an attempt, or the postdeploy task of one whose release is live: `not-found` when it has ended, `conflict` when it is live and runs no task. */
  cancel(deploymentId: string, actor: Actor): Promise<'deployment' | 'task'>;
  /** A command in a fresh container of the live release; resolves to its exit status. */
  runOneOff(request: OneOffRequest): Promise<number>;
  urlOf(app: string): string;
}

export function createDeployer(parts: DeployParts): Deployer {
  return {
    deploy: (request) => deploy(request, parts),
    change: (request) => change(request, parts),
    rollback: (request) => rollback(request, parts),
    restart: (request) => restart(request, parts),
    scale: (request) => scale(request, parts),
    stop: (request) => stop(request, parts),
    start: (request) => start(request, parts),
    cancel: async (id, actor) => parts.attempts.cancel(id, actor.name),
    runOneOff: async ({ app, session, ...command }) => {
      const release = liveRelease(appOf(app, parts.store), parts);
      return await parts.runtime.runOneOff({ ...session, release, ...command });
    },
    urlOf: parts.urlOf,
  };
}
