import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { generateHostKey, loadHostKey } from '../../src/ssh/host-key.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'forge-host-key-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the host key is made once, only its owner can read it, and ssh-keygen agrees with its fingerprint', async () => {
  const path = join(folder, 'ssh', 'host_ed25519');
  const made = await loadHostKey(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await loadHostKey(path)).toEqual(made);
  expect(spawnSync('ssh-keygen', ['-yf', path], { encoding: 'utf8' }).stdout).toContain(made.publicKey);
  expect(spawnSync('ssh-keygen', ['-lf', `${path}.pub`], { encoding: 'utf8' }).stdout).toContain(made.fingerprint);
});

test('a damaged host key stops the server instead of being replaced', async () => {
  const path = join(folder, 'host_ed25519');
  for (const content of ['', 'rubbish', '-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb\n-----END OPENSSH PRIVATE KEY-----\n']) {
    writeFileSync(path, content);
    await expect(loadHostKey(path)).rejects.toThrow('is not an unencrypted ed25519 private key');
    expect(readFileSync(path, 'utf8')).toBe(content);
  }
});

test('every key that is made is whole, also the one of 256 whose public key begins with a zero', () => {
  for (let made = 0; made < 1500; made += 1) expect(generateHostKey().publicKey).toMatch(/^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[\w+/]{43}$/);
});
