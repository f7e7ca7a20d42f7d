import { defaultSettings } from '../../src/domain.ts';
import { expect, test } from 'vitest';
import { createApp, deleteApp, findApp, findApps, updateApp } from '../../src/store/apps.ts';
import { setConfig, getConfig } from '../../src/store/app-config.ts';
import { createDeployment, findDeployments } from '../../src/store/deployments.ts';
import { createKey, findKeys } from '../../src/store/keys.ts';
import { createRelease, findRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { createToken, findTokenBySecret } from '../../src/store/tokens.ts';
import { openTestStore } from './open-test-store.ts';
import { sampleRelease } from './sample-release.ts';

test('a new app has every setting at its default', () => {
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = openTestStore(undefined, clock);
  expect(createApp(store, { name: 'hello' })).toEqual({
    name: 'hello',
    createdAt: '2026-11-21T10:00:00.000Z',
    settings: defaultSettings,
    lock: undefined,
    isBeingRemoved: false,
    formation: {},
    isStopped: false,
    currentVersion: undefined,
  });
});

test('a name is taken once, and a bad one is refused', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  expect(() => createApp(store, { name: 'hello' })).toThrow(expect.objectContaining({ code: 'conflict' }));
  for (const name of ['Hello', '../x', 'a;b', 'a\nb', 'a'.repeat(31), 'forge']) {
    expect(() => createApp(store, { name })).toThrow(expect.objectContaining({ code: 'invalid' }));
  }
  expect(findApps(store).map((app) => app.name)).toEqual(['hello']);
});

test('a patch changes what it names and nothing else', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  const formation = { web: { quantity: 2, limits: { memoryBytes: 1, cpuShares: 2, pids: 3 } } };
  updateApp(store, 'hello', { settings: { port: 8080, builder: 'dockerfile' }, formation });
  updateApp(store, 'hello', { settings: { builder: undefined, buildArgs: ['A'] }, isStopped: true });
  expect(findApp(store, 'hello')).toMatchObject({ settings: { port: 8080, builder: undefined, buildArgs: ['A'] }, formation, isStopped: true });
  expect(() => updateApp(store, 'ghost', {})).toThrow(expect.objectContaining({ code: 'not-found' }));
});

test('only a release that exists can serve', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  createRelease(store, sampleRelease('hello'));
  setCurrentRelease(store, 'hello', 1);
  expect(findApp(store, 'hello')?.currentVersion).toBe(1);
  expect(() => setCurrentRelease(store, 'hello', 2)).toThrow(/hello has no release v2/);
  expect(() => setCurrentRelease(store, 'ghost', 1)).toThrow(expect.objectContaining({ code: 'not-found' }));
  setCurrentRelease(store, 'hello', undefined);
  expect(findApp(store, 'hello')?.currentVersion).toBeUndefined();
});

test('a deleted app leaves nothing behind for the next one of its name', () => {
  const store = openTestStore();
  createApp(store, { name: 'hello' });
  setConfig(store, 'hello', { A: '1' });
  createRelease(store, sampleRelease('hello'));
  setCurrentRelease(store, 'hello', 1);
  createDeployment(store, { app: 'hello', actor: 'ada', origin: { kind: 'folder' }, reason: 'Deploy' });
  const grant = { isAdmin: false, permission: 'deploy', apps: ['hello', 'other'] } as const;
  createKey(store, { name: 'ci', type: 'ssh-ed25519', blob: 'AAAA', fingerprint: 'SHA256:x', grant });
  const { token } = createToken(store, { name: 'ci-token', grant, expiresAt: undefined });

  expect(deleteApp(store, 'hello')).toBe(true);
  expect(deleteApp(store, 'hello')).toBe(false);
  createApp(store, { name: 'hello' });
  expect(getConfig(store, 'hello')).toEqual({});
  expect(findRelease(store, 'hello', 1)).toBeUndefined();
  expect(findDeployments(store, { app: 'hello' })).toEqual([]);
  expect(findKeys(store)[0]?.grant.apps).toEqual(['other']);
  expect(findTokenBySecret(store, token)?.grant.apps).toEqual(['other']);
});
