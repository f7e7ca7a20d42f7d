/**
 * Keeps the disk bounded: after each release of an app what is the app's, every few hours everything. One run at a time.
 * It removes only what carries forge's labels or what a release names, and prunes nothing but caches of builds.
 */
import type { ListedImage } from '../docker/image-layers.ts';
import { readImageLayers } from '../docker/image-layers.ts';
import { abortError, isForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { delay, every, untilAborted, withDeadline } from '../wait.ts';
import { collectAll, tidy, type CollectRequest, type Collected } from './collect-all.ts';
import { collectImages } from './collect-images.ts';
import { collectRecords } from './collect-records.ts';
import { whenDue } from './when-due.ts';
import { createLayerCache } from './layer-cache.ts';
import { reportDisk, type DiskReport } from './disk-report.ts';
import type { RetentionParts } from './parts.ts';

const lookEveryMs = 10 * 60_000;
const collectEveryMs = 4 * 60 * 60_000;
const collectRegistryEveryMs = 24 * 60 * 60_000;
const abandonedAfterMs = 60 * 60_000;
const reclaimTimeoutMs = 60_000;
const busyRounds = 5;
const busyPauseMs = 2_000;

export interface Retention {
  /** Collects what is the app's, soon; returns at once. */
  noteRelease(app: string): void;
  /** Collects everything now, after a run that is under way. What fails does not stop the rest. */
  collect(request: CollectRequest): Promise<Collected>;
  /** Collects everything while a deploy waits that has the app's turn: not longer than a minute. Throws only the signal's reason. */
  reclaim(heldTurn: string, signal: AbortSignal): Promise<void>;
  /** What weighs how much, of one app or of all; what a collection would take. Changes nothing. */
  report(app: string | undefined, signal: AbortSignal): Promise<DiskReport>;
  /** Begins to collect by itself. */
  start(): void;
  /** Ends what is under way, between two steps. */
  close(): Promise<void>;
}

export function createRetention(parts: RetentionParts): Retention {
  const { store, log } = parts;
  const closing = new AbortController();
  const layersOf = createLayerCache(async (id, signal) => await readImageLayers(parts.docker, id, signal));
  const waiting = new Set<string>();
  const { enqueue, settled } = createLine();
  let timer: Disposable | undefined;

  const warn = (error: unknown) => {
    if (!closing.signal.aborted) logFailure(error, log);
  };
  const isAbandoned = createPatience();

  const collectApp = async (app: string): Promise<boolean> => {
    const { isBusy } = await collectImages(app, { overCap: new Set(), isAbandoned: () => false, heldTurn: undefined, signal: closing.signal }, parts);
    await collectRecords(app, parts);
    return !isBusy;
  };
  const collectSoon = async (app: string): Promise<void> => {
    // The next deploy of a busy app comes here again, so this need not be patient for ever.
    for (let round = 0; round < busyRounds && !closing.signal.aborted; round++) {
      if (await enqueue(async () => await collectApp(app))) return;
      await delay(busyPauseMs, closing.signal);
    }
  };

  const collect = async (request: CollectRequest): Promise<Collected> => {
    const signal = AbortSignal.any([request.signal, closing.signal]);
    return await untilAborted(enqueue(async () => await collectAll({ ...request, signal, layersOf, isAbandoned: request.isAsked === true ? () => true : isAbandoned }, parts)), signal);
  };

  const lookNow = async (): Promise<void> => {
    await whenDue('retention.last_run', { intervalMs: collectEveryMs, store }, async () => await collect({ signal: closing.signal }));
    await whenDue('registry.last_collection', { intervalMs: collectRegistryEveryMs, store }, async () => await enqueue(async () => await tidy(parts, closing.signal)));
  };

  return {
    report: async (app, signal) => await reportDisk({ app, layersOf, signal }, parts),
    collect,
    reclaim: async (heldTurn, signal) => {
      using limited = withDeadline(reclaimTimeoutMs, 'collecting took too long', signal);
      await collect({ heldTurn, signal: limited }).catch(warn);
      if (signal.aborted) throw abortError(signal);
    },
    noteRelease: (app) => {
      if (waiting.has(app) || closing.signal.aborted) return;
      waiting.add(app);
      const collecting = collectSoon(app).catch(warn);
      void collecting.finally(() => waiting.delete(app));
    },
    start: () => {
      timer = every(lookEveryMs, lookNow, warn);
    },
    close: async () => {
      timer?.[Symbol.dispose]();
      closing.abort();
      await settled();
    },
  };
}

/** One task after the other. */
function createLine(): { enqueue<T>(task: () => Promise<T>): Promise<T>; settled(): Promise<void> } {
  let last: Promise<unknown> = Promise.resolve();
  const enqueue = async <T>(task: () => Promise<T>): Promise<T> => {
    const run = last.then(task);
    last = run.catch(() => undefined);
    return await run;
  };
  return { enqueue, settled: async () => void (await last) };
}

/** Whether an image that no release has has been seen for a while: before, it may be about to get one. */
function createPatience(): (image: ListedImage) => boolean {
  const firstSeen = new Map<string, number>();
  return ({ id }) => {
    const seen = firstSeen.get(id) ?? performance.now();
    firstSeen.set(id, seen);
    return performance.now() - seen >= abandonedAfterMs;
  };
}

function logFailure(error: unknown, log: Log): void {
  const message = 'not everything could be collected; the next run tries again';
  // A build that is under way is no trouble.
  if (isForgeError(error) && error.code === 'timeout') log.info({ reason: error.message }, message);
  else log.warn({ err: error }, message);
}
