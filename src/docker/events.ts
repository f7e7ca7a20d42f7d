/** What the engine says about containers while it happens. */
import type { Readable } from 'node:stream';
import { abortError } from '../errors.ts';
import { engineCall, translate, type Docker } from './connect.ts';
import { readJsonLines } from './json-lines.ts';

export interface ContainerEvent {
  readonly action: 'start' | 'die';
  readonly containerId: string;
  /** Labels, and `exitCode` of a container that died. */
  readonly attributes: Readonly<Record<string, string>>;
}

interface EngineEvent {
  readonly Action: ContainerEvent['action'];
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

/**
 * Starts and ends of containers with this `key=value` label from the moment that this resolves; the iteration ends when
 * the engine goes away. Throws `unavailable` when it is not there.
 */
export async function openContainerEvents(docker: Docker, label: string, signal: AbortSignal): Promise<AsyncIterable<ContainerEvent>> {
  const call = docker.getEvents({ filters: { type: ['container'], event: ['start', 'die'], label: [label] }, abortSignal: signal });
  return readEvents((await engineCall('watch the containers', call, signal)) as Readable, signal);
}

async function* readEvents(stream: Readable, signal: AbortSignal): AsyncGenerator<ContainerEvent> {
  const stop = () => void stream.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const { Action, Actor } of readJsonLines<EngineEvent>(stream)) {
      yield { action: Action, containerId: Actor.ID, attributes: Actor.Attributes };
    }
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw translate('watch the containers', error);
  } finally {
    signal.removeEventListener('abort', stop);
    stream.destroy();
  }
}
