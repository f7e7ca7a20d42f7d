/** Asks the liveness checks of whatever serves, and replaces instances that fail them. */
import type { Check } from '../app-file.ts';
import type { Instance, Release } from '../domain.ts';
import { isForgeError } from '../errors.ts';
import { checksOf, isGate } from '../runtime/checks.ts';
import { nameOf } from '../runtime/describe-check.ts';
import type { Ask } from '../runtime/probe.ts';
import { findRelease } from '../store/releases.ts';
import { delay } from '../wait.ts';
import type { DeployParts } from './parts.ts';
import { replaceInstance } from './replace-instance.ts';

/** Milliseconds. */
export interface LivenessTimes {
  /** How often it is looked whether something else serves now. */
  readonly lookEveryMs: number;
  /** Between two questions at least, whatever a check says. */
  readonly leastWaitMs: number;
  /** After a replacement, until the same place may get another one; doubles each time. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Well for so long after a replacement: the pauses begin anew. */
  readonly settledMs: number;
}

export const livenessTimes: LivenessTimes = { lookEveryMs: 500, leastWaitMs: 500, firstPauseMs: 10_000, longestPauseMs: 600_000, settledMs: 60_000 };

/** How fast one place of an app may be replaced: a check that nothing passes must not wear the machine out. */
interface Pace {
  pauseMs: number;
  notBefore: number;
  replacedAt: number;
}

interface Supervision {
  readonly parts: DeployParts;
  readonly times: LivenessTimes;
  /** By app and name of the instance. */
  readonly paces: Map<string, Pace>;
  readonly signal: AbortSignal;
}

interface Watch {
  readonly controller: AbortController;
  readonly ended: Promise<void>;
}

/** Ends when the signal aborts, with every question and replacement it began. */
export async function superviseLiveness(parts: DeployParts, signal: AbortSignal, times: LivenessTimes = livenessTimes): Promise<void> {
  const supervision: Supervision = { parts, times, paces: new Map(), signal };
  const watches = new Map<string, Watch>();
  const leaving = new Set<Promise<void>>();
  let seen: ReadonlyMap<string, readonly Instance[]> | undefined;
  while (!signal.aborted) {
    const serving = parts.live.all();
    try {
      if (serving === seen || follow({ serving, before: seen, watches, leaving }, supervision)) seen = serving;
    } catch (error) {
      // Such as a store that cannot be read this moment: the next look tries again.
      parts.log.error({ err: error }, 'it could not be told which liveness checks there are');
    }
    await delay(times.lookEveryMs, signal).catch(() => undefined);
  }
  await Promise.all([...watches.values()].map(({ ended }) => ended).concat(...leaving));
}

interface Change {
  readonly serving: ReadonlyMap<string, readonly Instance[]>;
  readonly before: ReadonlyMap<string, readonly Instance[]> | undefined;
  readonly watches: Map<string, Watch>;
  /** Ends of watches whose instances serve no more. */
  readonly leaving: Set<Promise<void>>;
}

/** Begins to watch what serves since now, and leaves off what does not serve any more. False: of something it is not known yet what it is, as of an app that is being renamed. */
function follow({ serving, before, watches, leaving }: Change, supervision: Supervision): boolean {
  const { parts, paces } = supervision;
  const containers = new Set([...serving.values()].flat().map(({ containerId }) => containerId));
  for (const [containerId, { controller, ended }] of watches) {
    if (containers.has(containerId)) continue;
    controller.abort();
    watches.delete(containerId);
    leaving.add(ended);
    void ended.then(() => leaving.delete(ended));
  }
  for (const key of paces.keys()) if (!serving.has(key.slice(0, key.indexOf('/')))) paces.delete(key);
  let isWhole = true;
  for (const [app, instances] of serving) {
    if (instances === before?.get(app)) continue;
    for (const instance of instances) {
      if (watches.has(instance.containerId)) continue;
      const release = findRelease(parts.store, app, instance.version);
      isWhole &&= release !== undefined;
      const checks = release ? livenessChecks(release, instance.type, parts) : [];
      if (release && checks.length > 0) watches.set(instance.containerId, watchInstance({ instance, release, checks }, supervision));
    }
  }
  return isWhole;
}

const livenessChecks = (release: Release, type: string, { config }: DeployParts): readonly Check[] =>
  release.settings.uncheckedTypes.includes(type) ? [] : checksOf(release, type, config).filter((check) => !isGate(check));

interface Watched {
  readonly instance: Instance;
  readonly release: Release;
  readonly checks: readonly Check[];
}

function watchInstance({ instance, release, checks }: Watched, supervision: Supervision): Watch {
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, supervision.signal]);
  const { log } = supervision.parts;
  const ended = Promise.all(checks.map(async (check) => await watchCheck({ instance, release, check, signal }, supervision))).then(
    () => undefined,
    (error: unknown) => {
      if (!signal.aborted) log.error({ err: error, app: instance.app, instance: instance.name }, 'a liveness check is not asked any more until something else serves');
    },
  );
  return { controller, ended };
}

interface WatchedCheck {
  readonly instance: Instance;
  readonly release: Release;
  readonly check: Check;
  readonly signal: AbortSignal;
}

/** Asks until the signal aborts. */
async function watchCheck({ instance, release, check, signal }: WatchedCheck, supervision: Supervision): Promise<void> {
  const { parts, times } = supervision;
  const { log, runtime } = parts;
  const facts = { app: instance.app, instance: instance.name };
  const ask = runtime.createAsk(instance, release, check);
  const pace = paceOf(instance, supervision);
  let failures = 0;
  await delay(check.initialDelayMs, signal);
  for (;;) {
    const answer = await answerOf(ask, signal);
    signal.throwIfAborted();
    if (answer === undefined) {
      log.warn({ ...facts, check: nameOf(check, instance.port) }, 'a liveness check could not be asked: the Docker Engine does not answer');
    } else if (answer.problem === undefined) {
      if (failures > 0) log.info({ ...facts, failures }, 'a liveness check passes again');
      failures = 0;
      if (performance.now() - pace.replacedAt >= times.settledMs) pace.pauseMs = 0;
    } else {
      failures += 1;
      log.warn({ ...facts, failures, of: check.attempts, check: nameOf(check, instance.port), problem: answer.problem }, 'a liveness check failed');
      if (failures >= check.attempts && performance.now() >= pace.notBefore && (await replace({ instance, check, failures, ask }, pace, supervision))) failures = 0;
    }
    await delay(Math.max(check.waitMs, times.leastWaitMs), signal);
  }
}

/** `undefined` when the engine cannot be asked: that says nothing of the instance. */
async function answerOf(ask: Ask, signal: AbortSignal): Promise<{ readonly problem: string | undefined } | undefined> {
  try {
    return { problem: await ask(signal) };
  } catch (error) {
    if (!signal.aborted && isForgeError(error) && (error.code === 'unavailable' || error.code === 'timeout')) return undefined;
    throw error;
  }
}

interface Failed {
  readonly instance: Instance;
  readonly check: Check;
  readonly failures: number;
  readonly ask: Ask;
}

/** Whether there is nothing left to complain of: the instance was replaced, or is well again. */
async function replace({ instance, check, failures, ask }: Failed, pace: Pace, { parts, times, signal }: Supervision): Promise<boolean> {
  const { app, name } = instance;
  const question = nameOf(check, instance.port);
  const problem = async (): Promise<string | undefined> => {
    const answer = (await answerOf(ask, signal))?.problem;
    return answer === undefined ? undefined : `its liveness check: ${question}: ${answer}`;
  };
  const slowDown = (): void => {
    pace.replacedAt = performance.now();
    pace.pauseMs = Math.min(Math.max(times.firstPauseMs, pace.pauseMs * 2), times.longestPauseMs);
    pace.notBefore = pace.replacedAt + pace.pauseMs;
  };
  try {
    // The signal is that of the whole supervision: the swap ends the watch of this very instance.
    if (!(await replaceInstance({ instance, problem, reason: `Replace ${name}: liveness check failed ${failures} times`, signal }, parts))) return true;
    slowDown();
    parts.log.warn({ app, instance: name, check: question }, 'an instance was replaced: its liveness check failed');
    return true;
  } catch (error) {
    slowDown();
    if (!signal.aborted) parts.log.error({ err: error, app, instance: name, retryInMs: pace.pauseMs }, 'an instance that fails its liveness check could not be replaced; it stays');
    return false;
  }
}

function paceOf({ app, name }: Instance, { paces }: Supervision): Pace {
  const key = `${app}/${name}`;
  const pace = paces.get(key) ?? { pauseMs: 0, notBefore: 0, replacedAt: 0 };
  paces.set(key, pace);
  return pace;
}
