/** forge's own image registry: a small container on loopback, started, healed and cleaned by forge. */
import { join } from 'node:path';
import { packEntries, putArchive } from '../../docker/archive.ts';
import type { Docker } from '../../docker/connect.ts';
import { createContainer, inspectContainer, removeContainer, startContainer, tailContainer } from '../../docker/containers.ts';
import { findImage, removeRepository } from '../../docker/images.ts';
import { ensurePlainNetwork } from '../../docker/plain-network.ts';
import { runInContainer } from '../../docker/run-in-container.ts';
import { ForgeError, isForgeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Report } from '../../report.ts';
import { delay, untilAborted, withDeadline } from '../../wait.ts';
import { keyOf } from '../base-image.ts';
import { answers, deleteManifest, findRepositories, findTags, type RegistryAccess } from './registry-client.ts';
import { makeRegistryImage } from './registry-image.ts';
import { registryConfigPath, registryContainer, registryFiles, registryNames } from './registry-spec.ts';
import { freePort, loadRegistryState, type RegistryState, saveRegistryState } from './registry-state.ts';
import type { TurnLock } from './turn-lock.ts';

const readyTimeoutMs = 20_000;
const readyPollMs = 25;
const lockTimeoutMs = 15_000;
const collectTimeoutMs = 10 * 60_000;
/** The first time its image is made. */
const startTimeoutMs = 10 * 60_000;

export interface Registry {
  /** The running registry: milliseconds when it runs, else it is started or made again, its data kept. */
  ensure(signal: AbortSignal): Promise<RegistryAccess>;
  /**
   * Deletes what no tag leads to, and all of apps that are not there. Lets no build start meanwhile; while one is under way
   * it gives up soon, with `timeout`. Does not start a registry for it.
   */
  collectGarbage(signal: AbortSignal, isApp?: (name: string) => boolean): Promise<void>;
  /** Forgets `name:tag` and removes the engine's images of that name that no container uses; does not start a registry for it. */
  forget(reference: string, signal: AbortSignal, keep?: ReadonlySet<string>): Promise<void>;
}

export interface RegistryOptions {
  readonly docker: Docker;
  readonly dataId: string;
  readonly data: string;
  readonly cacheDir: string;
  /** 0 picks a free one when the registry is made for the first time. */
  readonly port: number;
  /** An image that has /usr/bin/docker-registry; default: made from the distribution's package. */
  readonly image?: string;
  readonly lock: TurnLock;
  readonly report: Report;
  readonly log: Log;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { docker, lock, log } = options;
  const names = registryNames(options.dataId);
  const statePath = join(options.data, 'registry.json');
  let finding: Promise<RegistryAccess> | undefined;

  // Callers that come meanwhile share one attempt, which goes on when the first of them leaves: two would make two
  // passwords, and one that is being started runs before it answers.
  const ensure = async (signal: AbortSignal): Promise<RegistryAccess> => {
    finding ??= findOrStart().finally(() => (finding = undefined));
    return await untilAborted(finding, signal);
  };

  const findOrStart = async (): Promise<RegistryAccess> => {
    using signal = withDeadline(startTimeoutMs, `starting the image registry took longer than ${startTimeoutMs / 60_000} min`);
    const state = await loadRegistryState(statePath, options.port, signal);
    const found = await findRunning(docker, names.container, specKeyOf(state, options.image));
    return found ? accessTo(found, state) : await start(state, signal);
  };

  const start = async (state: RegistryState, signal: AbortSignal): Promise<RegistryAccess> => {
    const image = options.image ?? (await makeRegistryImage({ ...options, signal })).reference;
    const specKey = specKeyOf(state, options.image);
    await ensurePlainNetwork(docker, { name: names.network, labels: names.labels, hasNeighbours: false });
    await removeContainer(docker, names.container);
    const containerId = await createContainer(docker, registryContainer({ names, image, port: state.port, specKey }));
    await putArchive(docker, { containerId, path: '/', archive: packEntries(registryFiles(state)), signal });
    try {
      await startContainer(docker, containerId);
    } catch (error) {
      if (!isPortTaken(error) || options.port !== 0) throw error;
      log.warn({ port: state.port }, 'the port of the image registry is taken: moving to another');
      const moved = { ...state, port: await freePort() };
      await saveRegistryState(statePath, moved);
      return await start(moved, signal);
    }
    const access = accessTo(containerId, state);
    await waitUntilReady(docker, access, signal);
    log.info({ host: access.host }, 'the image registry runs');
    return access;
  };

  return {
    ensure,
    forget: async (reference, signal, keep) => {
      const { state, access } = await findExisting(options, signal);
      if (access) await deleteManifest(access, reference, signal);
      await removeRepository(docker, `127.0.0.1:${state.port}/${reference.replace(/:.*$/, '')}`, keep);
    },
    collectGarbage: async (signal, isApp = () => true) => {
      // A build that waits behind a collection that waits for a long build would wait for both.
      using patience = withDeadline(lockTimeoutMs, 'a build is under way', signal);
      await lock.alone(patience, async () => {
        const { access } = await findExisting(options, signal);
        // Without it nothing was built with buildpacks: there is nothing to delete.
        if (access) await collectIn(access, { isApp, docker, signal });
      });
    },
  };
}

/** The registry as it is: not started, not healed. */
async function findExisting({ docker, dataId, data, port, image }: RegistryOptions, signal: AbortSignal) {
  const state = await loadRegistryState(join(data, 'registry.json'), port, signal);
  const containerId = await findRunning(docker, registryNames(dataId).container, specKeyOf(state, image));
  return { state, access: containerId === undefined ? undefined : accessTo(containerId, state) };
}

/** Images of apps that are gone, and run images that no builder of this machine uses any more. */
async function forgetStrangers(access: RegistryAccess, { isApp, docker, signal }: { isApp(name: string): boolean; docker: Docker; signal: AbortSignal }): Promise<void> {
  for (const repository of await findRepositories(access, signal)) {
    const app = /^apps\/(.+)$/.exec(repository)?.[1];
    if (app !== undefined && !isApp(app)) await deleteManifest(access, `${repository}:latest`, signal);
  }
  // A run image is tagged with the beginning of its id.
  for (const tag of await findTags(access, 'run', signal)) {
    if (/^[0-9a-f]{32}$/.test(tag) && !(await findImage(docker, tag))) await deleteManifest(access, `run:${tag}`, signal);
  }
}

async function collectIn(access: RegistryAccess, request: { isApp(name: string): boolean; docker: Docker; signal: AbortSignal }): Promise<void> {
  await forgetStrangers(access, request);
  const { docker, signal } = request;
  const argv = ['/usr/bin/docker-registry', 'garbage-collect', '--delete-untagged', registryConfigPath];
  const { exitCode, output } = await runInContainer(docker, { containerId: access.containerId, argv, timeoutMs: collectTimeoutMs, signal });
  if (exitCode !== 0) throw new ForgeError('failed', `the image registry could not be cleaned (exit status ${exitCode})`, { details: output.trimEnd().split('\n').slice(-10) });
}

const specKeyOf = (state: RegistryState, image: string | undefined): string => keyOf({ version: 1, state, image }).slice(0, 16);

const accessTo = (containerId: string, { port, username, password }: RegistryState): RegistryAccess => {
  const host = `127.0.0.1:${port}`;
  return { containerId, host, login: { username, password, serveraddress: host } };
};

async function findRunning(docker: Docker, name: string, specKey: string): Promise<string | undefined> {
  try {
    const { Id, State, Config } = await inspectContainer(docker, name);
    return State.Running && !State.Restarting && Config.Labels['forge.registry'] === specKey ? Id : undefined;
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}

async function waitUntilReady(docker: Docker, access: RegistryAccess, parent: AbortSignal): Promise<void> {
  const { containerId, host } = access;
  using signal = withDeadline(readyTimeoutMs, `the image registry on ${host} did not answer within ${readyTimeoutMs / 1000} s`, parent);
  for (;;) {
    try {
      if (await answers(access, signal)) return;
    } catch {
      const { State } = await inspectContainer(docker, containerId);
      if (!State.Running && !State.Restarting) {
        throw new ForgeError('unavailable', 'the image registry ended as soon as it was started', { details: await tailContainer(docker, containerId, 20) });
      }
    }
    await delay(readyPollMs, signal);
  }
}

const isPortTaken = (error: unknown): boolean => isForgeError(error) && /port is already allocated|address already in use/i.test(error.message);
