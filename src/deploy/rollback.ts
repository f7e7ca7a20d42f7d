/** Undo: a new release with the code and config of an earlier one. Nothing is built and nothing is pulled. */
import type { AppSettings, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { readAppState, type AppState } from '../store/app-state.ts';
import { findVersionLiveBefore, hasBeenLive } from '../store/deployments.ts';
import { isImageCollected } from '../store/release-images.ts';
import { findRelease } from '../store/releases.ts';
import { codeOf, type Code } from './candidate.ts';
import { makeRelease, type ChangeRequest } from './changes.ts';
import { liveRelease } from './live-release.ts';
import type { DeployParts } from './parts.ts';
import { appOf } from './turn.ts';

export interface RollbackRequest extends ChangeRequest {
  /** Default: the release that served before the one that serves now. */
  readonly version: number | undefined;
  readonly part: 'code and config' | 'code' | 'config';
}

/** Throws `not-found` for a release that there never was, `conflict` for one that never served or whose image is gone. */
export async function rollback(request: RollbackRequest, parts: DeployParts): Promise<Release> {
  const { part } = request;
  const reasonOf = ({ version }: Release): string => `Rollback to v${version}${part === 'code and config' ? '' : `, ${part} only`}`;
  // What cannot be done now is refused without waiting.
  const reason = reasonOf(await findTarget(request, parts));
  return await makeRelease({ ...request, reason }, parts, async (app) => {
    // What served before, what serves and which images there are may be different when the turn has come.
    const target = await findTarget(request, parts);
    const now = readAppState(parts.store, app.name);
    const code: Code = codeOf(part === 'config' ? liveRelease(app, parts) : target);
    return { code, state: part === 'code' ? now : stateOf(target, now), reason: reasonOf(target) };
  });
}

async function findTarget({ app: name, version, part }: RollbackRequest, parts: DeployParts): Promise<Release> {
  const { store } = parts;
  const live = liveRelease(appOf(name, store), parts);
  const wanted = version ?? findVersionLiveBefore(store, name, live.version);
  if (wanted === undefined) throw new ForgeError('conflict', `${name} has no release before v${live.version} to go back to`, { hint: `forge releases:list ${name} lists them` });
  const target = findRelease(store, name, wanted);
  if (!target) throw new ForgeError('not-found', `${name} has no release v${wanted}`, { hint: `forge releases:list ${name} lists them` });
  if (wanted === live.version) throw new ForgeError('conflict', `v${wanted} is the release that serves now`, { hint: `forge releases:list ${name} lists the others` });
  if (!hasBeenLive(store, name, wanted)) throw new ForgeError('conflict', `v${wanted} of ${name} never served: its deployment did not succeed`, { hint: 'choose one that did' });
  if (part !== 'config') await checkImage(target, parts);
  return target;
}

async function checkImage({ app, version, image, commit }: Release, { store, runtime }: DeployParts): Promise<void> {
  if (!isImageCollected(store, app, version) && (await runtime.hasImage(image.reference))) return;
  throw new ForgeError('conflict', `the image of v${version} is not on this machine any more`, {
    hint: `only the last releases keep theirs (forge releases:keep ${app} N); push its commit${commit === undefined ? '' : ` ${commit.slice(0, 7)}`} again instead`,
  });
}

/** How the app ran then. How it is built, its volumes and how many instances there are stay as they are now. */
function stateOf({ config, settings }: Release, now: AppState): AppState {
  const { builder, buildArgs, mounts } = now.settings;
  const restored: AppSettings = { ...settings, builder, buildArgs, mounts };
  return { ...now, config, settings: restored };
}
