import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createReconciler, type Reconciler, type ReconcilerParts } from '../../src/deploy/reconciler.ts';
import { createQueue, type Queue } from '../../src/deploy/queue.ts';
import { defaultSettings, type AppSettings, type Instance } from '../../src/domain.ts';
import { ForgeError } from '../../src/errors.ts';
import { createApp, updateApp } from '../../src/store/apps.ts';
import { createDeployment, updateDeployment } from '../../src/store/deployments.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestStore, silentLog } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const limits = { memoryBytes: 512, cpuShares: 1024, pids: 512 };

interface Machine {
  readonly store: Store;
  readonly queue: Queue;
  readonly reconciler: Reconciler;
  /** What the engine has. */
  found: Instance[];
  readonly routes: Map<string, readonly Instance[]>;
  readonly retiring: Set<string>;
  /** How often the engine was asked what there is. */
  looks: number;
  readonly done: string[];
  /** Reasons that were logged. */
  readonly warned: string[];
  /** Starts of these apps fail. */
  readonly broken: Set<string>;
  /** Containers that do not end. */
  readonly stubborn: Set<string>;
  /** Resolves when what is being retired may end. */
  drained: Promise<void>;
}

/** The real reconciler, store and queue on an engine and a proxy that only keep the books. */
function openMachine(): Machine {
  const store = openTestStore();
  const machine = { store, retiring: new Set<string>(), looks: 0, found: [] as Instance[], routes: new Map<string, readonly Instance[]>(), done: [] as string[], warned: [] as string[], broken: new Set<string>(), stubborn: new Set<string>(), drained: Promise.resolve() };
  const runtime = {
    findInstances: async (app?: string) => {
      machine.looks += 1;
      return machine.found.filter((one) => app === undefined || one.app === app);
    },
    promote: async (instances: readonly Instance[]) => void machine.done.push(...instances.map(({ containerId }) => `promote ${containerId}`)),
    restartInstance: async ({ containerId }: Instance) => void machine.done.push(`restart ${containerId}`),
    startRelease: async ({ release }: { release: { app: string } }) => {
      if (machine.broken.has(release.app)) throw new ForgeError('failed', 'it does not start');
      machine.done.push(`start ${release.app}`);
      return [];
    },
  };
  const live = {
    retiring: machine.retiring,
    servingOf: (app: string) => machine.routes.get(app) ?? [],
    swap: async (app: string, instances: readonly Instance[]) => {
      machine.routes.set(app, instances);
      machine.done.push(`route ${instances.map(({ containerId }) => containerId).join()}`);
    },
    restore: async (all: ReadonlyMap<string, readonly Instance[]>) => all.forEach((instances, app) => machine.routes.set(app, instances)),
    retire: async (instances: readonly Instance[]) => {
      machine.done.push(...instances.map(({ containerId }) => `retire ${containerId}`));
      for (const { containerId } of instances) machine.retiring.add(containerId);
      await machine.drained;
      for (const { containerId } of instances) machine.retiring.delete(containerId);
      machine.found = machine.found.filter((one) => machine.stubborn.has(one.containerId) || !instances.includes(one));
      machine.done.push(...instances.map(({ containerId }) => `ended ${containerId}`));
    },
    untilRetired: async (app: string, signal: AbortSignal, isMeant: (type: string) => boolean) =>
      await until(() => signal.throwIfAborted() ?? !machine.found.some((one) => one.app === app && isMeant(one.type) && machine.retiring.has(one.containerId))),
  };
  const log = { ...silentLog, info: () => undefined, warn: ({ err }: { readonly err: Error }) => void machine.warned.push(err.message) };
  const config = { memory: 512, cpuShares: 1024, pids: 512, drainTimeout: 0, stopTimeout: 0 };
  const parts = { store, runtime, live, config, queue: createQueue(), settle: async () => undefined, log, logs: { follow: () => undefined } } as unknown as ReconcilerParts;
  return Object.assign(machine, { queue: parts.queue, reconciler: createReconciler(parts) });
}

function deployApp(store: Store, name: string, settings: Partial<AppSettings> = {}): void {
  createApp(store, { name });
  setCurrentRelease(store, name, createRelease(store, { ...sampleRelease(name), settings: { ...defaultSettings, ...settings } }).version);
}

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await nextTurn();
};

const web = (app: string, containerId: string, more: Partial<Instance> = {}): Instance => ({
  name: 'web.1', app, version: 1, type: 'web', ordinal: 1, containerId, address: '10.0.0.2', port: 8080, isRunning: true, deploymentId: 'd1', ...more,
});
const containers = (instances: readonly Instance[] | undefined): readonly string[] => (instances ?? []).map(({ containerId }) => containerId);

describe('the reconciler', () => {
  it('routes what served, not what an interrupted restart left beside it', async () => {
    const machine = openMachine();
    deployApp(machine.store, 'hello');
    const { id } = createDeployment(machine.store, { app: 'hello', actor: 'ada', origin: { kind: 'change' }, reason: 'Restart' });
    updateDeployment(machine.store, id, { status: 'failed', failure: 'interrupted' });
    machine.found = [web('hello', 'a', { deploymentId: id }), web('hello', 'b')];
    await machine.reconciler.adopt();
    expect(containers(machine.routes.get('hello'))).toEqual(['b']);
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.done).toContain('retire a');
    expect(machine.done).not.toContain('retire b');
  });

  it('sets what it finds running to restart, which a forge that was killed may not have done', async () => {
    const machine = openMachine();
    deployApp(machine.store, 'hello');
    machine.found = [web('hello', 'a')];
    await machine.reconciler.adopt();
    expect(machine.done).toEqual(['promote a']);
  });

  it('does and routes the rest when one thing fails, in the app and in others', async () => {
    const machine = openMachine();
    for (const app of ['hello', 'other']) deployApp(machine.store, app);
    machine.broken.add('hello');
    updateApp(machine.store, 'hello', { formation: { web: { quantity: 2, limits } } });
    await machine.reconciler.adopt();
    machine.found = [web('hello', 'a'), web('hello', 'old', { version: 0, ordinal: 3, name: 'web.3' })];
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.done).toEqual(expect.arrayContaining(['retire old', 'start other']));
    expect(containers(machine.routes.get('hello'))).toEqual(['a']);
  });

  it('ends what a killed change has left as soon as the change that came first after it is over', async () => {
    const machine = openMachine();
    deployApp(machine.store, 'hello');
    machine.found = [web('hello', 'a'), web('hello', 'b', { name: 'web.2', ordinal: 2 })];
    const turn = machine.queue.takeIfFree('hello', 'a scale');
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.done).not.toContain('retire b');
    turn?.[Symbol.dispose]();
    await machine.reconciler.settled();
    expect(machine.done).toContain('retire b');
  });

  it('takes an instance out of the routes before it ends it', async () => {
    const machine = openMachine();
    deployApp(machine.store, 'hello');
    machine.found = [web('hello', 'a')];
    await machine.reconciler.adopt();
    machine.found.push(web('hello', 'b', { name: 'web.2', ordinal: 2 }));
    machine.routes.set('hello', machine.found);
    machine.done.length = 0;
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.done).toEqual(['route a', 'retire b', 'ended b']);
  });

  it('does not route an instance again that is being retired, whose successor has the same place and release', async () => {
    const machine = openMachine();
    deployApp(machine.store, 'hello');
    machine.found = [web('hello', 'b')];
    await machine.reconciler.adopt();
    machine.done.length = 0;
    // Of two equal ones the first by id would stay.
    machine.found.push(web('hello', 'a'));
    machine.retiring.add('a');
    await machine.reconciler.visit('hello', new AbortController().signal);
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.done).toEqual([]);
    expect(containers(machine.routes.get('hello'))).toEqual(['b']);
  });

  it('asks the engine once for all apps that are in order', async () => {
    const machine = openMachine();
    for (const app of ['one', 'two', 'three']) deployApp(machine.store, app);
    machine.found = ['one', 'two', 'three'].map((app) => web(app, app));
    await machine.reconciler.adopt();
    machine.looks = 0;
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.looks).toBe(1);
    updateApp(machine.store, 'two', { isStopped: true });
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.done).toEqual(expect.arrayContaining(['route ', 'retire two']));
  });
});

describe.each([{ strategy: 'recreate' }, { uncheckedTypes: ['web'] }] as const)('an app of which two must never run (%j), after a push that was killed', (settings) => {
  const afterKill = async () => {
    const machine = openMachine();
    deployApp(machine.store, 'hello', settings);
    await machine.reconciler.adopt();
    machine.found = [web('hello', 'new', { version: 2 })];
    machine.routes.set('hello', machine.found);
    machine.done.length = 0;
    return machine;
  };

  it('gets its release back only once what the push started has ended', async () => {
    const machine = await afterKill();
    await machine.reconciler.pass(new AbortController().signal);
    expect(machine.done.slice(0, 4)).toEqual(['route ', 'retire new', 'ended new', 'start hello']);
    expect(machine.done.filter((one) => one === 'retire new')).toHaveLength(1);
  });

  it('waits for what was being retired already, and gives way to whoever wants the turn', async () => {
    const machine = await afterKill();
    const { promise, resolve } = Promise.withResolvers<void>();
    machine.drained = promise;
    const leaving = new AbortController();
    const visit = machine.reconciler.visit('hello', leaving.signal);
    await until(() => machine.retiring.has('new'));
    leaving.abort(new ForgeError('canceled', 'canceled'));
    await visit;
    expect(machine.done).not.toContain('start hello');
    expect(machine.warned).toEqual([]);
    const { looks } = machine;
    const again = machine.reconciler.visit('hello', new AbortController().signal);
    await until(() => machine.looks > looks);
    await nextTurn();
    resolve();
    await again;
    expect(machine.done.filter((one) => /retire|ended|start/.test(one))).toEqual(['retire new', 'ended new', 'start hello']);
  });

  it('stays down for as long as that does not end', async () => {
    const machine = await afterKill();
    machine.stubborn.add('new');
    await machine.reconciler.visit('hello', new AbortController().signal);
    expect(machine.warned).toEqual([expect.stringContaining('web.1 of v2 did not stop')]);
    expect(machine.done).not.toContain('start hello');
    machine.stubborn.clear();
    await machine.reconciler.visit('hello', new AbortController().signal);
    expect(machine.done.at(-1)).toBe('start hello');
  });
});
