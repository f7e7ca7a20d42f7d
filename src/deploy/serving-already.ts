/** A prebuilt image that serves already: deploying it again changes nothing, so nothing is started. */
import type { Release } from '../domain.ts';
import type { Attempt, AttemptRequest } from './attempt.ts';
import type { Code } from './candidate.ts';
import { hasPendingChange, liveRelease } from './live-release.ts';
import type { DeployParts } from './parts.ts';
import { appOf } from './turn.ts';

interface Repeated extends Pick<AttemptRequest, 'app' | 'origin'> {
  readonly isForced?: boolean;
}

/** The live release, when the request would only repeat it. */
export function servingAlready({ app: name, origin, isForced = false }: Repeated, { image }: Code, parts: DeployParts): Release | undefined {
  const app = appOf(name, parts.store);
  if (origin.kind !== 'image' || isForced || app.currentVersion === undefined || app.isStopped) return undefined;
  const live = liveRelease(app, parts);
  return live.image.reference === image.reference && !hasPendingChange(app, parts) ? live : undefined;
}

/** Ends the attempt as one that succeeded without making a release. */
export async function endUnchanged(serving: Release, attempt: Attempt): Promise<Release> {
  attempt.commit();
  attempt.report.done(`v${serving.version} runs this image already: nothing to do (--force deploys it again)`);
  await attempt.succeed();
  return serving;
}
