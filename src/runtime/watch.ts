/** Starts and ends of instances as they happen, across restarts of the engine. */
import type { Docker } from '../docker/connect.ts';
import { openContainerEvents, type ContainerEvent } from '../docker/events.ts';
import { isForgeError } from '../errors.ts';
import { labels, oneOffType } from '../labels.ts';
import type { Log } from '../log.ts';
import { delay } from '../wait.ts';

export type RuntimeEvent =
  | { readonly kind: 'started'; readonly app: string; readonly name: string; readonly containerId: string }
  | { readonly kind: 'died'; readonly app: string; readonly name: string; readonly containerId: string; readonly exitCode: number }
  /** The engine was away and is back: anything may have happened in between. */
  | { readonly kind: 'reconnected' };

export interface WatchParts {
  readonly docker: Docker;
  readonly dataId: string;
  readonly log: Log;
}

const firstPauseMs = 100;
const longestPauseMs = 5_000;

/** Ends only when the signal aborts. */
export async function* watch({ docker, dataId, log }: WatchParts, signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
  let pauseMs = firstPauseMs;
  let isAway = false;
  while (!signal.aborted) {
    try {
      // Listening first: what happens while the listener looks around is not missed.
      const events = await openContainerEvents(docker, `${labels.data}=${dataId}`, signal);
      pauseMs = firstPauseMs;
      if (isAway) {
        log.info('the Docker Engine is there again');
        yield { kind: 'reconnected' };
      }
      isAway = false;
      for await (const event of events) {
        if (event.attributes[labels.type] !== oneOffType) yield instanceEvent(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isAway) log.warn({ reason: isForgeError(error) ? error.message : String(error) }, 'the Docker Engine went away; forge waits for it');
    }
    isAway = true;
    await delay(pauseMs, signal).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

function instanceEvent({ action, containerId, attributes }: ContainerEvent): RuntimeEvent {
  const instance = { app: attributes[labels.app] ?? '', name: attributes[labels.instance] ?? '', containerId };
  return action === 'start' ? { kind: 'started', ...instance } : { kind: 'died', ...instance, exitCode: Number(attributes['exitCode']) };
}
