import { expect, it } from 'vitest';
import { createLive } from '../../src/deploy/live.ts';
import type { DeployParts } from '../../src/deploy/parts.ts';
import { stopFirst } from '../../src/deploy/start-instances.ts';
import { defaultSettings, type AppSettings, type Instance } from '../../src/domain.ts';
import { ForgeError } from '../../src/errors.ts';
import { createFaults } from '../../src/faults.ts';
import { createReport } from '../../src/report.ts';
import { createApp } from '../../src/store/apps.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { untilAborted } from '../../src/wait.ts';
import { openTestStore, silentLog } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const instance = (type: string, more: Partial<Instance> = {}): Instance => ({
  name: `${type}.1`, app: 'hello', version: 1, type, ordinal: 1, containerId: `${type}-old`, address: '10.0.0.2', port: 8080, isRunning: true, deploymentId: 'd', ...more,
});
const never = new Promise<never>(() => undefined);
const slow = { drainTimeout: 60_000, stopTimeout: 1, webSocketGrace: 1 };

/** A web instance with a request that goes on for as long as anybody waits for it, and a worker; an engine that keeps the books. */
async function openStage(settings: Partial<AppSettings> = { strategy: 'recreate' }) {
  const store = openTestStore();
  const stage = { found: [instance('web'), instance('worker')], isEngineAway: false, started: [] as string[] };
  const runtime = {
    findInstances: async () => {
      if (stage.isEngineAway) throw new ForgeError('unavailable', 'the Docker Engine does not answer');
      return stage.found;
    },
    retire: async (instances: readonly Instance[]) => {
      stage.found = stage.found.filter((one) => stage.isEngineAway || !instances.includes(one));
      return [];
    },
    startRelease: async ({ places }: { places: readonly { type: string }[] }) => {
      stage.started.push(...places.map(({ type }) => type));
      return places.map(({ type }) => instance(type, { containerId: `${type}-again` }));
    },
    promote: async () => undefined,
  };
  const drained = async ([id]: readonly string[], { signal }: { signal: AbortSignal }) => void (id?.includes('/web.1') && (await untilAborted(never, signal)));
  const live = createLive({ proxy: { apply: async () => undefined, drained }, runtime, log: silentLog, domain: 'localhost', controlSocket: '/none', signal: new AbortController().signal });
  createApp(store, { name: 'hello' });
  createRelease(store, sampleRelease('hello'));
  setCurrentRelease(store, 'hello', 1);
  await live.restore(new Map([['hello', stage.found]]));
  const parts = { store, live, runtime, faults: createFaults(''), log: silentLog, config: slow } as unknown as DeployParts;
  const release = { ...createRelease(store, sampleRelease('hello')), settings: { ...defaultSettings, ...settings } };
  const leaving = new AbortController();
  const stopping = () => stopFirst(release, { report: createReport([]), signal: leaving.signal }, parts);
  const serving = () => live.servingOf('hello').map(({ containerId }) => containerId);
  return Object.assign(stage, { live, leaving, stopping, serving });
}

it('a cancel while old instances are to end first does not wait for their requests: they serve on, what has ended is started again', async () => {
  const stage = await openStage();
  const stopped = stage.stopping();
  await expect.poll(() => stage.found.map(({ type }) => type)).toEqual(['web']);
  stage.leaving.abort(new ForgeError('canceled', 'canceled by ada'));
  await expect(stopped).rejects.toThrow('canceled by ada');
  expect(stage.serving()).toEqual(['web-old', 'worker-again']);
  expect(stage.started).toEqual(['worker']);
});

it('a type whose checks are off starts only when those of an earlier release have ended, whatever the others do', async () => {
  const stage = await openStage({ uncheckedTypes: ['web'] });
  const earlier = stage.live.retire([instance('web', { containerId: 'web-older' })], { drainTimeoutMs: 60_000, stopTimeoutMs: 1, webSocketGraceMs: 1 });
  const waiting = stage.stopping();
  stage.leaving.abort(new ForgeError('canceled', 'canceled by ada'));
  await expect(waiting).rejects.toThrow('canceled by ada');
  expect(stage.serving()).toEqual(['web-old', 'worker-old']);
  const worker = await openStage({ uncheckedTypes: ['worker'] });
  void worker.live.retire([instance('web', { containerId: 'web-older' })], { drainTimeoutMs: 60_000, stopTimeoutMs: 1, webSocketGraceMs: 1 });
  expect((await worker.stopping()).map(({ containerId }) => containerId)).toEqual(['worker-old']);
  void earlier;
});

it('puts back what it took out of the routes when the engine does not tell what has ended', async () => {
  const stage = await openStage({ uncheckedTypes: ['worker'] });
  stage.isEngineAway = true;
  await expect(stage.stopping()).rejects.toThrow('does not answer');
  expect(stage.serving()).toEqual(['web-old', 'worker-old']);
});
