import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatAuthorizedKeys, relayCommand, writeAuthorizedKeys } from '../../src/ssh/authorized-keys.ts';
import { sshdConfig } from '../../src/ssh/sshd-config.ts';

const key = { name: 'laptop', type: 'ssh-ed25519', blob: 'AAAAC3NzaC1lZDI1NTE5AAAA', fingerprint: 'SHA256:abc/+1' };

test('each key may run the relay with its own fingerprint and nothing else', () => {
  expect(formatAuthorizedKeys([key], relayCommand('/opt/forge/node', '/opt/forge/relay.js', '/run/forge-door/door.sock')).split('\n')[1]).toBe(
    'restrict,pty,command="exec /opt/forge/node --single-threaded /opt/forge/relay.js /run/forge-door/door.sock SHA256:abc/+1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA laptop',
  );
});

test('a path with blanks and quotes stays one word for sshd and for the shell', () => {
  expect(formatAuthorizedKeys([key], ['/opt/it\'s "x"/relay'])).toContain(String.raw`command="exec '/opt/it'\''s \"x\"/relay' SHA256:abc/+1"`);
});

test('nothing in a key can begin another line or another option', () => {
  expect(formatAuthorizedKeys([{ ...key, name: 'a\nssh-ed25519 BBBB' }], ['/relay']).trimEnd().split('\n')).toHaveLength(2);
  for (const bad of [{ blob: 'AAAA\nssh-rsa BBBB' }, { type: 'ssh-ed25519 x' }, { fingerprint: 'SHA256:$(id)' }, { fingerprint: '"' }]) {
    expect(() => formatAuthorizedKeys([{ ...key, ...bad }], ['/relay'])).toThrow('not well formed');
  }
});

test('the file is replaced in one step, readable by its owner alone, and leaves nothing beside it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'forge-keys-'));
  const path = join(folder, 'authorized_keys');
  await writeAuthorizedKeys(path, [key], ['/relay']);
  await writeAuthorizedKeys(path, [], ['/relay']);
  expect(readFileSync(path, 'utf8')).not.toContain('ssh-ed25519');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['authorized_keys']);
  rmSync(folder, { recursive: true });
});

test('the drop-in for sshd takes no name that sshd could read otherwise', () => {
  const good = { loginUser: 'forge', keysFile: '/var/lib/forge/ssh/authorized_keys', keysUser: 'forged' };
  expect(sshdConfig(good)).toContain('Match User forge\n');
  for (const bad of [{ loginUser: 'a,b' }, { loginUser: '*' }, { keysUser: 'x\nMatch all' }, { keysFile: '/a b' }, { keysFile: '/%u' }, { keysFile: 'relative' }]) {
    expect(() => sshdConfig({ ...good, ...bad })).toThrow('expected');
  }
});
