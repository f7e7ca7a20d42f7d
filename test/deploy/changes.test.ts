import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createAttempts, deploymentLogPath } from '../../src/deploy/attempt.ts';
import { change, restart, stop } from '../../src/deploy/changes.ts';
import { deploy } from '../../src/deploy/deploy.ts';
import { createLive } from '../../src/deploy/live.ts';
import type { DeployParts } from '../../src/deploy/parts.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { rollback } from '../../src/deploy/rollback.ts';
import type { Instance, Release } from '../../src/domain.ts';
import { ForgeError } from '../../src/errors.ts';
import { createFaults } from '../../src/faults.ts';
import { operator } from '../../src/operations/actors.ts';
import type { Report } from '../../src/report.ts';
import { setConfig } from '../../src/store/app-config.ts';
import { createApp, getApp, updateApp } from '../../src/store/apps.ts';
import { createDeployment, findDeployments, updateDeployment } from '../../src/store/deployments.ts';
import { createRelease, findCurrentRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore, silentLog, temporaryDirectory } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const limits = { memoryBytes: 512, cpuShares: 1024, pids: 512 };
const instanceOf = (version: number): Instance => ({
  name: 'web.1', app: 'hello', version, type: 'web', ordinal: 1, containerId: `v${version}`, address: '10.0.0.2', port: 8080, isRunning: true, deploymentId: 'd',
});

/** The real store, routes, attempts and queue; an engine and a proxy that keep the books. */
async function openStage() {
  const store = openTestStore();
  const data = temporaryDirectory();
  const stage = { started: [] as Release[], retired: [] as string[], says: '', isProxyAway: false, text: '' };
  const runtime = {
    promote: async () => undefined,
    retire: async (instances: readonly Instance[]) => (stage.retired.push(...instances.map(({ containerId }) => containerId)), []),
    findInstances: async () => [],
    hasImage: async () => true,
    startRelease: async ({ release, report }: { release: Release; report: Report }) => {
      stage.started.push(release);
      report.body(stage.says);
      return [instanceOf(release.version)];
    },
  };
  const apply = async () => {
    if (stage.isProxyAway) throw new ForgeError('unavailable', 'the proxy is away');
  };
  const live = createLive({ proxy: { apply, drained: async () => undefined }, runtime, log: silentLog, domain: 'localhost', controlSocket: '/none', signal: new AbortController().signal });
  await live.restore(new Map());
  const queue = createQueue();
  const attempts = createAttempts({ store, data, log: silentLog });
  const config = loadConfig({ data, flags: {}, env: {} });
  const parts = { store, live, runtime, queue, attempts, config, faults: createFaults(''), settle: async () => undefined, urlOf: () => '', log: silentLog } as unknown as DeployParts;
  createApp(store, { name: 'hello' });
  const output = new PassThrough().setEncoding('utf8').on('data', (text: string) => (stage.text += text));
  const request = { app: 'hello', actor: operator, output, signal: new AbortController().signal };
  const goesLive = async (): Promise<number> => {
    const { version } = createRelease(store, sampleRelease('hello'));
    setCurrentRelease(store, 'hello', version);
    const { id } = createDeployment(store, { app: 'hello', actor: 'ada', origin: { kind: 'change' }, reason: 'Deploy' });
    updateDeployment(store, id, { status: 'succeeded', version });
    updateApp(store, 'hello', { formation: { web: { quantity: 1, limits } } });
    await live.swap('hello', [instanceOf(version)]);
    return version;
  };
  return Object.assign(stage, { store, data, live, queue, parts, request, goesLive });
}

it('a config change that waited for the first push of its app is in force when it returns', async () => {
  const { store, queue, parts, request, started, goesLive } = await openStage();
  const push = queue.takeIfFree('hello', 'a push');
  const changing = change({ ...request, change: { config: { KEY: 'value' } }, reason: 'Set KEY', restart: true }, parts);
  await goesLive();
  push?.[Symbol.dispose]();
  expect(await changing).toEqual({ release: 2, pending: undefined });
  expect(findCurrentRelease(store, 'hello')?.config).toMatchObject({ KEY: 'value' });
  expect(started.map(({ version }) => version)).toEqual([2]);
});

describe('a secret that was set while a change waited for its turn', () => {
  const says = 'cannot log in with canary-2b9c';
  const shown = ({ store, data, text }: Awaited<ReturnType<typeof openStage>>): string =>
    text + JSON.stringify(findDeployments(store)) + findDeployments(store).map(({ id }) => readFileSync(deploymentLogPath(data, id), { encoding: 'utf8', flag: 'a+' })).join('');

  it('is kept out of what a restart shows and stores', async () => {
    const stage = await openStage();
    await stage.goesLive();
    const turn = stage.queue.takeIfFree('hello', 'a config:set');
    const restarting = restart(stage.request, stage.parts);
    setConfig(stage.store, 'hello', { SECRET: 'canary-2b9c' });
    stage.says = says;
    turn?.[Symbol.dispose]();
    await restarting;
    expect(shown(stage)).toContain('cannot log in with');
    expect(shown(stage)).not.toContain('canary');
  });

  it('is kept out of what a push shows and stores', async () => {
    const stage = await openStage();
    const turn = stage.queue.takeIfFree('hello', 'a config:set');
    const verify = async (): Promise<void> => {
      throw new ForgeError('failed', says);
    };
    const pushing = deploy({ ...stage.request, origin: { kind: 'folder' }, reason: 'Deploy', verify, confirm: async () => undefined }, stage.parts);
    setConfig(stage.store, 'hello', { SECRET: 'canary-2b9c' });
    turn?.[Symbol.dispose]();
    await expect(pushing).rejects.toThrow(says);
    expect(shown(stage)).toContain('cannot log in with');
    expect(shown(stage)).not.toContain('canary');
  });
});

describe('a rollback that waits for its turn', () => {
  it('goes to what served before the release that serves by then, and says so', async () => {
    const stage = await openStage();
    await stage.goesLive();
    await stage.goesLive();
    const push = stage.queue.takeIfFree('hello', 'a push');
    const going = rollback({ ...stage.request, version: undefined, part: 'code and config' }, stage.parts);
    await expect.poll(() => findDeployments(stage.store)[0]?.reason).toBe('Rollback to v1');
    await stage.goesLive();
    push?.[Symbol.dispose]();
    expect(await going).toMatchObject({ version: 4, reason: 'Rollback to v2' });
    expect(findDeployments(stage.store).find(({ version }) => version === 4)).toMatchObject({ status: 'succeeded', reason: 'Rollback to v2' });
  });

  it('is refused when its release serves by then', async () => {
    const stage = await openStage();
    await stage.goesLive();
    await stage.goesLive();
    const other = stage.queue.takeIfFree('hello', 'another rollback');
    const going = rollback({ ...stage.request, version: 1, part: 'code and config' }, stage.parts);
    await expect.poll(() => findDeployments(stage.store)[0]?.reason).toBe('Rollback to v1');
    setCurrentRelease(stage.store, 'hello', 1);
    other?.[Symbol.dispose]();
    await expect(going).rejects.toThrow('v1 is the release that serves now');
  });
});

describe('a stop that fails', () => {
  it.each(['the proxy', 'the store'])('at %s changes nothing', async (where) => {
    const stage = await openStage();
    await stage.goesLive();
    if (where === 'the proxy') stage.isProxyAway = true;
    else stage.store.db.script("CREATE TRIGGER full BEFORE UPDATE ON apps BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    await expect(stop(stage.request, stage.parts)).rejects.toThrow(/the proxy is away|the disk is full/);
    expect(getApp(stage.store, 'hello').isStopped).toBe(false);
    expect(stage.live.servingOf('hello')).toEqual([instanceOf(1)]);
    expect(stage.retired).toEqual([]);
  });
});
