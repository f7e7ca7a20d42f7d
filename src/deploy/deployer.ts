/** What the doors may ask of deploy/: one object over the story, the changes and the attempts. */
import { rm } from 'node:fs/promises';
import type { Actor, Formation, Release, Session } from '../domain.ts';
import { createReport } from '../report.ts';
import type { Repositories } from '../git/repositories.ts';
import type { LogCollector } from '../runtime/logs/collector.ts';
import { deleteApp } from '../store/apps.ts';
import { findDeployments } from '../store/deployments.ts';
import { deploymentLogPath } from './attempt.ts';
import { change, liveRelease, restart, scale, start, stop, type Applied, type ChangeRequest, type ReleaseChange } from './changes.ts';
import { deploy, type DeployRequest } from './deploy.ts';
import type { DeployParts } from './parts.ts';
import { retireOptions } from './retire-options.ts';
import { rollback, type RollbackRequest } from './rollback.ts';
import { appOf, takeTurn } from './turn.ts';

export interface OneOffRequest {
  readonly app: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
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
  /** `not-found` when the attempt has ended, `conflict` once it is live. */
  cancel(deploymentId: string, actor: Actor): Promise<void>;
  /** Removes the app with everything that is its own: instances, network, volumes, images, repository, logs, rows. */
  destroy(request: ChangeRequest): Promise<void>;
  /** A command in a fresh container of the live release; resolves to its exit status. */
  runOneOff(request: OneOffRequest): Promise<number>;
  urlOf(app: string): string;
}

export interface DeployerParts extends DeployParts {
  readonly repositories: Pick<Repositories, 'remove'>;
  readonly logs: Pick<LogCollector, 'removeApp'>;
  /** Removes what builders keep of an app: build cache, images. */
  forgetBuilds(app: string): Promise<void>;
}

export function createDeployer(parts: DeployerParts): Deployer {
  return {
    deploy: (request) => deploy(request, parts),
    change: (request) => change(request, parts),
    rollback: (request) => rollback(request, parts),
    restart: (request) => restart(request, parts),
    scale: (request) => scale(request, parts),
    stop: (request) => stop(request, parts),
    start: (request) => start(request, parts),
    cancel: async (id, actor) => parts.attempts.cancel(id, actor.name),
    destroy: (request) => destroy(request, parts),
    runOneOff: async ({ app, session, ...command }) => {
      const release = liveRelease(appOf(app, parts.store), parts);
      return await parts.runtime.runOneOff({ ...session, release, ...command });
    },
    urlOf: parts.urlOf,
  };
}

/** The rows go last: a destroy that was interrupted is finished by asking for it again. */
async function destroy(request: ChangeRequest, parts: DeployerParts): Promise<void> {
  const { signal, output } = request;
  using _turn = await takeTurn({ app: request.app, holder: 'a destroy', isRelease: true, signal, report: createReport([output]) }, parts);
  const app = appOf(request.app, parts.store);
  const serving = parts.live.servingOf(app.name);
  await parts.live.remove(app.name);
  await parts.live.retire(serving, { ...retireOptions(app, parts.config), drainTimeoutMs: 0 });
  await parts.runtime.removeApp(app.name);
  await parts.forgetBuilds(app.name);
  await parts.repositories.remove(app.name);
  await parts.logs.removeApp(app.name);
  for (const { id } of findDeployments(parts.store, { app: app.name, limit: Infinity })) await rm(deploymentLogPath(parts.config.data, id), { force: true });
  deleteApp(parts.store, app.name);
}
