import { describe, expect, it } from 'vitest';
import { exportedApp } from '../../src/apps/export/app-schema.ts';
import { emptyAppFile, type Check } from '../../src/app-file.ts';
import { defaultSettings } from '../../src/domain.ts';
import { plainCheck } from '../../src/runtime/checks.ts';

const limits = { memoryBytes: 512 * 1024 * 1024, cpuShares: 1024, pids: 512 };
const check: Check = { kind: 'liveness', name: undefined, probe: { kind: 'http', path: '/alive', status: 200, content: undefined, headers: { host: 'x' } }, port: undefined, initialDelayMs: 0, timeoutMs: 5000, attempts: 3, waitMs: 5000 };
const app = {
  deployBranch: 'main',
  config: { A: 'ü' },
  settings: { ...defaultSettings, checks: { web: [check, plainCheck({ kind: 'uptime', uptimeMs: 0 }, 0)] }, mounts: [{ volume: 'data', path: '/data' }], drainTimeoutMs: 3000 },
  formation: { web: { quantity: 2, limits } },
  volumes: ['data'],
  shallow: [],
  release: {
    version: 4,
    reason: 'Deploy',
    port: 5000,
    commit: 'a'.repeat(40),
    imageId: `sha256:${'b'.repeat(64)}`,
    image: { reference: 'x', digest: 'y', builder: 'dockerfile', processTypes: { web: { command: ['node'] } }, exposedPorts: [80], user: '' },
    appFile: { ...emptyAppFile, cron: [{ name: 'night', argv: ['true'], schedule: '0 4 * * *', timeZone: 'Europe/Berlin', concurrencyPolicy: 'forbid', isSuspended: false }] },
  },
};
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
/** The app with another value at a path. */
function changed(path: string, value: unknown): unknown {
  const copy = plain(app);
  const keys = path.split('.');
  const last = keys.pop() as string;
  const place = keys.reduce((inner, key) => (inner as Record<string, unknown>)[key], copy);
  (place as Record<string, unknown>)[last] = value;
  return copy;
}

describe('what an export says of an app', () => {
  it('is taken as it was written', () => {
    expect(plain(exportedApp.parse(plain(app)))).toEqual(plain(app));
  });

  it('loses what forge does not know, and gets the defaults of what is not there', () => {
    const parsed = exportedApp.parse({ ...app, settings: { surprise: 1 }, release: { ...app.release, appFile: { tasks: { release: 'migrate', other: 'x' } } } });
    expect(plain(parsed.settings)).toEqual(plain(defaultSettings));
    expect(plain(parsed.release?.appFile)).toEqual(plain({ ...emptyAppFile, tasks: { release: 'migrate' } }));
  });

  it.each([
    ['formation.web.limits.memoryBytes', 0],
    ['formation.web.limits.cpuShares', 0],
    ['formation.web.limits.pids', 0],
    ['formation.web.limits.pids', -1],
    ['formation.web.quantity', 1001],
    ['settings.drainTimeoutMs', 'soon'],
    ['settings.builder', 'make'],
    ['settings.uncheckedTypes', ['a b']],
    ['settings.checks', { web: [{ ...check, probe: { kind: 'http', path: 'no slash' } }] }],
    ['settings.checks', { web: [{ ...check, probe: { kind: 'http', path: '/', headers: { host: 'a\r\nb: c' } } }] }],
    ['settings.mounts', [{ volume: 'other', path: '/data' }]],
    ['settings.mounts', [{ volume: 'data', path: '/data/..' }]],
    ['release.imageId', 'node:24'],
    ['release.commit', '--help'],
    ['release.appFile.env', { 'A-B': { isRequired: true, isGenerated: false } }],
    ['release.appFile.cron.0.schedule', 'now and then'],
    ['release.appFile.cron.0.timeZone', 'Nowhere/None'],
    ['release.appFile.cron.0.argv', []],
    ['release.appFile.tasks.release', 7],
  ])('is refused with %s %j', (path, value) => {
    expect(() => exportedApp.parse(changed(path, value))).toThrow();
  });
});
