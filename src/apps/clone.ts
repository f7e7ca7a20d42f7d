/** A second app like another: its live image, config, settings, formation and code; volumes of the same names, empty. */
import type { Writable } from 'node:stream';
import { start } from '../deploy/changes.ts';
import { appOf } from '../deploy/turn.ts';
import { addFirstRelease, type FirstRelease } from '../store/first-release.ts';
import { getConfig } from '../store/app-config.ts';
import { createUnfinishedApp } from '../store/apps.ts';
import { findCurrentRelease } from '../store/releases.ts';
import { createVolume, findVolumes } from '../store/volumes.ts';
import { removeEverything } from './destroy.ts';
import type { AppParts, AppRequest } from './parts.ts';
import { takeBothTurns } from './take-both-turns.ts';

export interface CloneRequest extends AppRequest {
  readonly from: string;
  readonly to: string;
  readonly output: Writable;
  /** Whether its instances are started. */
  readonly isStarted: boolean;
}

export interface Cloned {
  readonly release: number | undefined;
  /** Names of the volumes that it has, empty. */
  readonly volumes: readonly string[];
}

/** Throws `conflict` when the name is taken. When its instances do not start, the clone is there all the same, stopped. */
export async function clone(request: CloneRequest, parts: AppParts): Promise<Cloned> {
  const { to, actor, report, signal, output, isStarted } = request;
  const cloned = await copy(request, parts);
  // Its host is known from now on, before anything serves it.
  await parts.live.swap(to, []);
  if (cloned.release !== undefined && isStarted) {
    report.step(`Starting ${to}`);
    await start({ app: to, actor, output, signal }, parts);
  }
  return cloned;
}

/** In both turns: what is copied does not change meanwhile, and a copy that was not finished is nobody's. */
async function copy({ from, to, actor, report, signal }: CloneRequest, parts: AppParts): Promise<Cloned> {
  const { store, repositories, runtime } = parts;
  using _turns = await takeBothTurns({ from, to, holder: 'a clone', isRelease: false, actor, signal, report }, parts);
  const app = appOf(from, store);
  const live = findCurrentRelease(store, from);
  createUnfinishedApp(store, to);
  try {
    // What a push left that came while an app of that name went.
    await repositories.remove(to);
    await repositories.copy(from, to);
    if (live) await runtime.images.keep(to, live.image.reference);
    const first: FirstRelease = {
      app: to,
      code: live && { image: live.image, appFile: live.appFile, commit: live.commit },
      port: live?.port,
      config: getConfig(store, from),
      settings: app.settings,
      formation: app.formation,
      actor: actor.name,
      reason: live ? `Clone v${live.version} of ${from}` : `Clone ${from}`,
    };
    const volumes = findVolumes(store, from).map(({ name }) => name);
    for (const name of volumes) await runtime.volumes.create(createVolume(store, { app: to, name, dataId: runtime.volumes.dataId }).engineName);
    return { release: addFirstRelease(store, first), volumes };
  } catch (error) {
    await removeEverything(to, parts).catch((again: unknown) => parts.log.warn({ err: again, app: to }, 'what a failed clone left could not be removed; forge tries again'));
    throw error;
  }
}
