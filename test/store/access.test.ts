import { expect, test } from 'vitest';
import type { Grant } from '../../src/domain.ts';
import { deleteOldAudit, findAudit, recordAudit } from '../../src/store/audit.ts';
import { createKey, deleteKey, findKeyByBlob, findKeyByFingerprint, findKeys } from '../../src/store/keys.ts';
import { createToken, findTokenBySecret, findTokens, revokeToken } from '../../src/store/tokens.ts';
import { openTestStore } from './open-test-store.ts';

const grant: Grant = { isAdmin: false, permission: 'deploy', apps: ['hello'] };
const laptop = { name: 'laptop', type: 'ssh-ed25519', blob: 'AAAAC3', fingerprint: 'SHA256:abc', grant };

test('a key is found by its blob and its fingerprint until it is deleted', () => {
  const store = openTestStore();
  const key = createKey(store, laptop);
  expect(findKeyByBlob(store, 'AAAAC3')).toEqual(key);
  expect(findKeyByFingerprint(store, 'SHA256:abc')).toEqual(key);
  expect(findKeyByBlob(store, 'AAAA')).toBeUndefined();
  expect(deleteKey(store, 'laptop')).toBe(true);
  expect(deleteKey(store, 'laptop')).toBe(false);
  expect(findKeyByBlob(store, 'AAAAC3')).toBeUndefined();
});

test('the same key under another name, and another key under the same name, are refused', () => {
  const store = openTestStore();
  createKey(store, laptop);
  expect(() => createKey(store, { ...laptop, name: 'desktop' })).toThrow(/this key is there already, as laptop/);
  expect(() => createKey(store, { ...laptop, blob: 'BBBB', fingerprint: 'SHA256:b' })).toThrow(/already a key named laptop/);
  expect(findKeys(store)).toHaveLength(1);
});

test('a key and a token never share a name, so that ending one does not end the other', () => {
  const store = openTestStore();
  createKey(store, laptop);
  expect(() => createToken(store, { name: 'laptop', grant, expiresAt: undefined })).toThrow(/already a key named laptop/);
  createToken(store, { name: 'ci', grant, expiresAt: undefined });
  expect(() => createKey(store, { ...laptop, name: 'ci', blob: 'BBBB', fingerprint: 'SHA256:b' })).toThrow(/already a token named ci/);
});

test('a token opens until it is revoked, and the database does not hold it', () => {
  const store = openTestStore();
  const { token, row } = createToken(store, { name: 'ci', grant, expiresAt: undefined });
  expect(token).toMatch(/^forge_[A-Za-z0-9_-]{43}$/);
  expect(findTokenBySecret(store, token)).toEqual(row);
  expect(JSON.stringify(store.db.all('SELECT name, hex(hash) AS hash, access FROM tokens'))).not.toContain(token.slice(6));
  for (const wrong of ['', 'ci', token.slice(0, -1), `${token}x`, token.toUpperCase()]) expect(findTokenBySecret(store, wrong)).toBeUndefined();
  expect(() => createToken(store, { name: 'ci', grant, expiresAt: undefined })).toThrow(/already a token named ci/);
  expect(revokeToken(store, 'ci')).toBe(true);
  expect(findTokenBySecret(store, token)).toBeUndefined();
});

test('a token stops at the moment it expires', () => {
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = openTestStore(undefined, clock);
  const { token } = createToken(store, { name: 'ci', grant, expiresAt: '2026-11-21T11:00:00.000Z' });
  clock.now = new Date('2026-11-21T10:59:59.999Z');
  expect(findTokenBySecret(store, token)).toBeDefined();
  clock.now = new Date('2026-11-21T11:00:00Z');
  expect(findTokenBySecret(store, token)).toBeUndefined();
  expect(findTokens(store)).toHaveLength(1);
});

test('the audit forgets the oldest beyond its cap, and no more', () => {
  const store = openTestStore();
  for (let count = 1; count <= 5; count++) recordAudit(store, { actor: 'ada', via: 'key', action: `change ${count}`, app: undefined, details: {} });
  expect(deleteOldAudit(store, 5)).toBe(0);
  expect(deleteOldAudit(store, 3)).toBe(2);
  expect(findAudit(store).map(({ action }) => action)).toEqual(['change 5', 'change 4', 'change 3']);
});

test('the audit keeps what was done, newest first', () => {
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = openTestStore(undefined, clock);
  recordAudit(store, { actor: 'ada', via: 'key', action: 'apps:create', app: 'hello', details: {} });
  recordAudit(store, { actor: 'operator', via: 'operator', action: 'keys:add', app: undefined, details: { name: 'ci' } });
  expect(findAudit(store)[0]).toEqual({ at: '2026-11-21T10:00:00.000Z', actor: 'operator', via: 'operator', action: 'keys:add', app: undefined, details: { name: 'ci' } });
  expect(findAudit(store, { app: 'hello' }).map(({ action }) => action)).toEqual(['apps:create']);
});
