/** An engine for jobs that the test ends by hand: it outlives the forges that use it. */
import { ForgeError } from '../../src/errors.ts';
import type { JobContainer, JobContainers, JobStart } from '../../src/runtime/job-containers.ts';
import { untilAborted } from '../../src/wait.ts';

export interface FakeContainers extends JobContainers {
  /** What was asked to start, in order. */
  readonly started: JobStart[];
  readonly stopped: string[];
  /** Names of those that are there. */
  names(): string[];
  /** Ends the oldest running job of this name. */
  end(name: string, status: number): void;
  /** The next start fails with this. */
  failure: ForgeError | undefined;
}

interface Container extends JobContainer {
  readonly exit: PromiseWithResolvers<number>;
  hasEnded: boolean;
}

export function fakeContainers(): FakeContainers {
  const all: Container[] = [];
  const find = (containerId: string): Container => {
    const container = all.find((one) => one.containerId === containerId);
    if (!container) throw new ForgeError('not-found', 'no such container');
    return container;
  };
  const endOne = (container: Container, status: number): void => {
    container.hasEnded = true;
    container.exit.resolve(status);
  };
  const fake: FakeContainers = {
    started: [],
    stopped: [],
    failure: undefined,
    names: () => all.map(({ name }) => name),
    end: (name, status) => {
      const container = all.find((one) => one.name === name && !one.hasEnded);
      if (!container) throw new Error(`${name} does not run`);
      endOne(container, status);
    },
    start: async (request) => {
      fake.started.push(request);
      if (fake.failure) throw fake.failure;
      const container: Container = { id: request.id, app: request.release.app, name: request.name, containerId: `c${request.id}`, state: 'running', exit: Promise.withResolvers(), hasEnded: false };
      all.push(container);
      return { ...container, isRead: Promise.resolve() };
    },
    ended: async ({ containerId }, signal) => await untilAborted(find(containerId).exit.promise, signal),
    stop: async ({ containerId, name }) => {
      fake.stopped.push(name);
      endOne(find(containerId), 143);
    },
    remove: async ({ containerId }) => void all.splice(0, all.length, ...all.filter((one) => one.containerId !== containerId)),
    endReaders: () => undefined,
    find: async () => all.map((one) => ({ ...one, state: one.hasEnded ? 'ended' : 'running' })),
  };
  return fake;
}
