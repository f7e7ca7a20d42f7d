/** What apps as things need to work; main wires it. */
import type { DeployParts } from '../deploy/parts.ts';
import type { Actor } from '../domain.ts';
import type { Repositories } from '../git/repositories.ts';
import type { Report } from '../report.ts';
import type { LogCollector } from '../runtime/logs/collector.ts';
import type { Volumes } from './volumes.ts';

export interface AppParts extends DeployParts {
  readonly repositories: Repositories;
  readonly logs: Pick<LogCollector, 'removeApp' | 'renameApp'>;
  readonly volumes: Volumes;
  /** Removes what builders keep of an app: build cache, images; but those of other apps, named by reference. */
  forgetBuilds(app: string, keep: ReadonlySet<string>): Promise<void>;
}

export interface AppRequest {
  readonly actor: Actor;
  readonly report: Report;
  readonly signal: AbortSignal;
}
