import { describe, expect, test } from 'vitest';
import { emptyAppFile, type Check } from '../../src/app-file.ts';
import type { Instance } from '../../src/domain.ts';
import { plainCheck } from '../../src/runtime/checks.ts';
import { getApp } from '../../src/store/apps.ts';
import { createRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { sampleRelease } from '../store/sample-release.ts';
import { openStage, release } from './stage.ts';

async function openApp() {
  const stage = openStage();
  await stage.ok('apps:create', 'hello');
  release(stage.store, 'hello');
  const set = (type = 'web') => getApp(stage.store, 'hello').settings.checks[type];
  return Object.assign(stage, { set });
}

const fromFile = (stage: Awaited<ReturnType<typeof openApp>>, checks: readonly Check[]): void => {
  const { version } = createRelease(stage.store, { ...sampleRelease('hello'), appFile: { ...emptyAppFile, checks: { web: checks } } });
  setCurrentRelease(stage.store, 'hello', version);
};

const http = (path: string): Check['probe'] => ({ kind: 'http', path, status: undefined, content: undefined, headers: undefined });

describe('checks:set', () => {
  test('--timeout is the whole time, --attempts and --wait the same in two factors', async () => {
    const stage = await openApp();
    await stage.ok('checks:set', 'hello', '--path', '/up', '--status', '204', '--content', 'ok', '--timeout', '90', '--answer-timeout', '2', '--initial-delay', '1', '--port', '9000');
    expect(stage.set()).toMatchObject([{ kind: 'startup', probe: { kind: 'http', path: '/up', status: 204, content: 'ok' }, attempts: 1, waitMs: 90_000, timeoutMs: 2_000, initialDelayMs: 1_000, port: 9000 }]);
    await stage.ok('checks:set', 'hello', '--attempts', '4', '--wait', '7');
    expect(stage.set()).toMatchObject([{ probe: { path: '/up', status: 204 }, attempts: 4, waitMs: 7_000, timeoutMs: 2_000 }]);
    await stage.ok('checks:set', 'hello', '--content', 'fine');
    expect(stage.set()).toMatchObject([{ probe: { path: '/up', status: 204, content: 'fine' }, attempts: 4 }]);
    await stage.ok('checks:set', 'hello', '--path', '/other');
    expect(stage.set()?.[0]?.probe).toEqual({ kind: 'http', path: '/other' });
    expect(stage.asked).toEqual(['change hello', 'change hello', 'change hello', 'change hello']);
  });

  test('keeps kinds, names and process types apart, and --reset forgets what was set', async () => {
    const stage = await openApp();
    await stage.ok('checks:set', 'hello', '--path', '/up');
    await stage.ok('checks:set', 'hello', '--name', 'files', '--command', '["test", "-f", "/tmp/ready now"]');
    await stage.ok('checks:set', 'hello', '--kind', 'liveness', '--path', '/alive');
    await stage.ok('checks:set', 'hello', '--type', 'worker', '--uptime', '10');
    expect(stage.set()?.map(({ kind, name, probe }) => [kind, name, probe.kind])).toEqual([['startup', undefined, 'http'], ['startup', 'files', 'command'], ['liveness', undefined, 'http']]);
    expect(stage.set()?.[1]?.probe).toMatchObject({ argv: ['test', '-f', '/tmp/ready now'] });
    expect(stage.set()?.[2]).toMatchObject({ attempts: 3, waitMs: 5_000 });
    expect(stage.set('worker')).toMatchObject([{ probe: { kind: 'uptime', uptimeMs: 10_000 } }]);
    await stage.ok('checks:set', 'hello', '--tcp', '--reset');
    expect(stage.set()).toMatchObject([{ kind: 'startup', probe: { kind: 'tcp' } }]);
    await stage.ok('checks:set', 'hello', '--reset');
    expect(stage.set()).toBeUndefined();
    expect(stage.set('worker')).toHaveLength(1);
  });

  test('a time alone changes the checks in force, those of app.json and the default too', async () => {
    const stage = await openApp();
    await stage.ok('checks:set', 'hello', '--timeout', '5');
    expect(stage.set()).toMatchObject([{ probe: { kind: 'tcp' }, waitMs: 5_000 }]);
    await stage.ok('checks:set', 'hello', '--reset');
    fromFile(stage, [{ ...plainCheck(http('/a'), 1_000), name: 'a' }, plainCheck(http('/b'), 1_000)]);
    await stage.ok('checks:set', 'hello', '--timeout', '8');
    expect(stage.set()).toMatchObject([{ name: 'a', probe: { path: '/a' }, waitMs: 8_000 }, { probe: { path: '/b' }, waitMs: 8_000 }]);
  });

  test.each([
    ['--tcp', '--path', '/x'], ['--command', 'true', '--uptime', '3'], ['--kind', 'liveness', '--uptime', '3'], ['--kind', 'liveness', '--path', '/x', '--timeout', '3'],
    ['--timeout', '3', '--attempts', '2'], ['--kind', 'readiness', '--timeout', '3'], ['--type', 'worker', '--timeout', '3'], ['--kind', 'sometimes', '--tcp'], ['--command', '[1]'], ['--command', '['], [],
  ])('refuses %s %s %s %s', async (...words) => {
    const stage = await openApp();
    expect(await stage.run(['checks:set', 'hello', ...words])).toMatchObject({ status: 2 });
    expect(stage.asked).toEqual([]);
  });
});

test('checks:show tells what is asked and who said so', async () => {
  const stage = await openApp();
  expect(await stage.ok('checks:show', 'hello')).toMatch(/^web +startup +a TCP connection +within 60 s, an answer within 5 s +default$/m);
  await stage.ok('checks:set', 'hello', '--kind', 'liveness', '--tcp');
  await stage.ok('checks:disable', 'hello', 'worker');
  fromFile(stage, [{ ...plainCheck(http('/up'), 15_000), name: 'page' }]);
  const text = await stage.ok('checks', 'hello');
  expect(text).toMatch(/^web +startup +check "page": GET \/up +within 15 s, an answer within 5 s +app\.json$/m);
  expect(text).toMatch(/^web +liveness +a TCP connection +every 5 s, an answer within 5 s, replaced after 3 failures +set$/m);
  expect(text).toMatch(/^worker +off /m);
  expect(JSON.parse(await stage.ok('checks:show', 'hello', '--json'))).toMatchObject({ types: [{ type: 'web', isOff: false, checks: [{ origin: 'app.json' }, { origin: 'set' }] }, { type: 'worker', isOff: true }] });
});

test('disable, skip and enable change one type or all of them', async () => {
  const stage = await openApp();
  const settings = () => getApp(stage.store, 'hello').settings;
  await stage.ok('checks:set', 'hello', '--kind', 'liveness', '--tcp');
  await stage.ok('checks:disable', 'hello', 'web');
  expect(settings().uncheckedTypes).toEqual(['web']);
  await stage.ok('checks:skip', 'hello', 'web');
  expect(settings().checks['web']).toMatchObject([{ kind: 'liveness' }, { kind: 'startup', probe: { kind: 'uptime', uptimeMs: 0 } }]);
  await stage.ok('checks:enable', 'hello');
  expect(settings()).toMatchObject({ uncheckedTypes: [], checks: { web: [{ kind: 'liveness' }] } });
  expect(settings().checks['web']).toHaveLength(1);
});

describe('checks:run', () => {
  const instance = (name: string, more: Partial<Instance> = {}): Instance => ({
    name, app: 'hello', version: 1, type: 'web', ordinal: 1, containerId: name, address: '10.0.0.2', port: 8080, isRunning: true, deploymentId: 'd', ...more,
  });

  test('asks every instance of the live release and ends with 1 when one does not pass', async () => {
    const stage = await openApp();
    stage.instances = [instance('web.1'), instance('web.2'), instance('web.3', { version: 7 })];
    expect(await stage.ok('checks:run', 'hello')).toMatch(/^web\.1 +startup +a TCP connection to port \d+ +passes/m);
    stage.answers.set('web.2 tcp', 'connection refused (nothing listens there)');
    const { status, stdout } = await stage.run(['checks:run', 'hello']);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^web\.2 .*connection refused/m);
    expect(stdout).not.toContain('web.3');
    stage.instances = [instance('web.1', { isRunning: false })];
    expect((await stage.run(['checks:run', 'hello'])).stdout).toContain('it does not run');
  });

  test('says so when nothing runs', async () => {
    const stage = await openApp();
    expect(await stage.run(['checks:run', 'hello'])).toMatchObject({ status: 5, stderr: expect.stringContaining('no instance of hello runs') as string });
  });
});
