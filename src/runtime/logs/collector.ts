/** Follows every instance and keeps its lines on disk, whatever happens to the container, to the app or to forge. */
import { EventEmitter, once } from 'node:events';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Docker } from '../../docker/connect.ts';
import type { Instance } from '../../domain.ts';
import type { Log } from '../../log.ts';
import { withTimeout } from '../../wait.ts';
import { followContainer } from './follow-container.ts';
import { containerFolder, readLogs, type LogLine, type ReadLogsOptions } from './read-logs.ts';
import { segmentNames } from './segments.ts';

export type { LogLine } from './read-logs.ts';

export interface LogCollector {
  /** Copies the container's log from where it is stored; calling again for one that is followed does nothing. */
  follow(instance: Pick<Instance, 'app' | 'name' | 'containerId'>): void;
  /** After a container's exit: resolves when its last line is stored. Call before removing it. */
  settle(containerId: string): Promise<void>;
  read(app: string, options: ReadLogsOptions): AsyncIterable<LogLine>;
  removeApp(app: string): Promise<void>;
  /** What the app's ended instances wrote is found under its new name. */
  renameApp(from: string, to: string): Promise<void>;
  /** Removes logs of containers that are gone, oldest first, until the app's weigh no more. Resolves to the bytes removed. */
  trim(app: string, maxBytes: number): Promise<number>;
  close(): Promise<void>;
}

export interface LogCollectorParts {
  readonly docker: Docker;
  /** One folder per app below it. */
  readonly directory: string;
  readonly log: Log;
}

/** 4 MiB segments: 32 MiB a container, and at most this many containers' logs an app. */
const maxSegments = 8;
const maxContainersPerApp = 30;
const settleTimeoutMs = 10_000;

interface Followed {
  readonly app: string;
  readonly folder: string;
  readonly ended: Promise<void>;
}

export function createLogCollector({ docker, directory, log }: LogCollectorParts): LogCollector {
  const controller = new AbortController();
  const stored = new EventEmitter().setMaxListeners(0);
  const followed = new Map<string, Followed>();

  const foldersInUse = () => new Set([...followed.values()].map((one) => one.folder));
  const follow = ({ app, name, containerId }: Pick<Instance, 'app' | 'name' | 'containerId'>): void => {
    if (controller.signal.aborted || followed.has(containerId)) return;
    const folder = join(directory, app, containerFolder(name, containerId));
    const onStored = () => stored.emit(eventOf(app));
    const ended = followContainer({ docker, containerId, folder, maxSegments, signal: controller.signal, log, onStored })
      .catch((error: unknown) => log.error({ err: error, app, container: containerId }, 'the log of a container can not be kept'))
      .finally(() => followed.delete(containerId));
    followed.set(containerId, { app, folder, ended });
    void pruneFolders(join(directory, app), foldersInUse()).catch((error: unknown) => log.warn({ err: error, app }, 'old logs could not be removed'));
  };

  const endOf = async (app: string): Promise<void> => {
    const ended = Promise.allSettled([...followed.values()].filter((one) => one.app === app).map((one) => one.ended));
    await withTimeout(settleTimeoutMs, 'logs are still being written', async () => await ended).catch(() => undefined);
  };

  return {
    follow,
    settle: async (containerId) => {
      const ended = followed.get(containerId)?.ended;
      if (ended) await withTimeout(settleTimeoutMs, 'the last log lines of a container could not be stored in time', async () => await ended);
    },
    read: (app, options) => readLogs(join(directory, app), options, async (signal) => void (await once(stored, eventOf(app), { signal }).catch(() => undefined))),
    removeApp: async (app) => {
      await endOf(app);
      await rm(join(directory, app), { recursive: true, force: true });
    },
    trim: async (app, maxBytes) => await trimFolders(join(directory, app), foldersInUse(), maxBytes),
    renameApp: async (from, to) => {
      await endOf(from);
      const names = await readdir(join(directory, from)).catch(() => []);
      await mkdir(join(directory, to), { recursive: true, mode: 0o700 });
      for (const name of names) await rename(join(directory, from, name), join(directory, to, name));
      await rm(join(directory, from), { recursive: true, force: true });
    },
    close: async () => {
      controller.abort();
      await Promise.allSettled([...followed.values()].map(({ ended }) => ended));
    },
  };
}

/** An app may be called `error`, which is an event of a meaning of its own. */
const eventOf = (app: string): string => `stored ${app}`;

/**
 * Removes the oldest containers' logs beyond the number that is kept; never one that is followed. Jobs are counted apart:
 * a schedule that runs every minute must not push out what the instances wrote.
 */
async function pruneFolders(appFolder: string, inUse: ReadonlySet<string>): Promise<void> {
  const names = await readdir(appFolder).catch(() => []);
  const [jobs, instances] = [names.filter(isOfJob), names.filter((name) => !isOfJob(name))];
  for (const kind of [jobs, instances]) {
    if (kind.length <= maxContainersPerApp) continue;
    const ages = await Promise.all(kind.map(async (name) => ({ folder: join(appFolder, name), changed: await lastChange(join(appFolder, name)) })));
    const removable = ages.filter(({ folder }) => !inUse.has(folder)).sort((a, b) => a.changed - b.changed);
    for (const { folder } of removable.slice(0, kind.length - maxContainersPerApp)) await rm(folder, { recursive: true, force: true });
  }
}

/** `run.1a2b3c4d@…`, `cron.nightly@…` */
const isOfJob = (folder: string): boolean => /^(run|cron)\./.test(folder);

async function trimFolders(appFolder: string, inUse: ReadonlySet<string>, maxBytes: number): Promise<number> {
  const names = await readdir(appFolder).catch(() => []);
  const folders = await Promise.all(names.map((name) => join(appFolder, name)).map(async (folder) => ({ folder, changed: await lastChange(folder), bytes: await weigh(folder) })));
  let [kept, removed] = [0, 0];
  for (const { folder, bytes } of folders.sort((a, b) => b.changed - a.changed)) {
    kept += bytes;
    if (kept <= maxBytes || inUse.has(folder)) continue;
    await rm(folder, { recursive: true, force: true });
    removed += bytes;
  }
  return removed;
}

async function weigh(folder: string): Promise<number> {
  const sizes = await Promise.all((await segmentNames(folder)).map(async (name) => (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function lastChange(folder: string): Promise<number> {
  const newest = (await segmentNames(folder)).at(-1);
  const stats = await stat(newest === undefined ? folder : join(folder, newest)).catch(() => undefined);
  return stats?.mtimeMs ?? 0;
}
