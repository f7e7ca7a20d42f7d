import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { addAdminKeys } from '../../src/operations/admin-keys.ts';
import { parsePublicKey } from '../../src/operations/public-key.ts';
import { findKeys } from '../../src/store/keys.ts';
import { findTokenBySecret } from '../../src/store/tokens.ts';
import { openTestStore, temporaryDirectory } from '../store/open-test-store.ts';
import { openStage } from './stage.ts';

/** A key by the real ssh-keygen, and the fingerprint that it prints. */
function makeKey(...flags: string[]): { line: string; fingerprint: string; privateKey: string } {
  const path = join(temporaryDirectory(), 'key');
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'ada@laptop', '-f', path, ...flags]);
  const fingerprint = execFileSync('ssh-keygen', ['-l', '-f', `${path}.pub`], { encoding: 'utf8' }).split(' ')[1] ?? '';
  return { line: readFileSync(`${path}.pub`, 'utf8').trim(), fingerprint, privateKey: readFileSync(path, 'utf8') };
}

describe('keys', () => {
  test.each([['-t', 'ed25519'], ['-t', 'rsa', '-b', '2048'], ['-t', 'ecdsa', '-b', '256'], ['-t', 'ecdsa', '-b', '521']])('ssh-keygen %s %s %s %s is read as ssh-keygen reads it', (...flags) => {
    const { line, fingerprint } = makeKey(...flags.filter(Boolean));
    expect(parsePublicKey(`# mine\n${line}\r\n`)).toMatchObject({ fingerprint, blob: line.split(' ')[1], comment: 'ada@laptop' });
  });

  test('what is not one plain public key is refused, each with its reason', () => {
    const { line, privateKey } = makeKey('-t', 'ed25519');
    const weak = makeKey('-t', 'rsa', '-b', '1024').line;
    const blob = line.split(' ')[1] ?? '';
    const cases: [string, RegExp][] = [
      ['', /there is no key/],
      [privateKey, /this is a private key/],
      [`${line}\n${line}`, /these are 2 keys/],
      [`command="sh" ${line}`, /options before the key/],
      [`ssh-dss ${blob}`, /key type "ssh-dss" is not taken/],
      [`ssh-rsa ${blob}`, /the key is damaged/],
      [`ssh-ed25519 ${blob.slice(0, -8)}`, /the key is damaged/],
      [`ssh-ed25519 ${blob}!`, /the key is damaged/],
      ['ssh-ed25519', /the key is damaged/],
      [weak, /RSA keys of less than 2048 bits/],
    ];
    for (const [text, message] of cases) expect(() => parsePublicKey(text), text.slice(0, 30)).toThrow(message);
  });

  test('a key is added from words or stdin, listed with what it may do, and removed', async () => {
    const stage = openStage();
    const one = makeKey('-t', 'ed25519');
    const other = makeKey('-t', 'ed25519');
    await stage.ok('keys:add', 'laptop', '--admin', ...one.line.split(' '));
    expect(await stage.run(['keys:add', 'ci', '--app', 'hello', '--app', 'other', '--permission', 'operate'], { stdin: `${other.line}\n` })).toMatchObject({ status: 0 });
    const listed = await stage.ok('keys');
    expect(listed).toMatch(/ci +operate hello, other/);
    expect(listed).toMatch(/laptop +admin/);
    expect(await stage.run(['keys:add', 'again', one.line])).toMatchObject({ status: 5, stderr: expect.stringContaining('as laptop') });
    expect(await stage.run(['keys:add', 'x', '--admin', '--app', 'hello', other.line])).toMatchObject({ status: 2 });
    await stage.ok('keys:remove', 'laptop');
    expect(stage.ended).toEqual(['laptop']);
    expect(stage.asked).toEqual(['keysChanged', 'keysChanged', 'keysChanged']);
    expect((await stage.run(['keys:remove', 'laptop'])).status).toBe(4);
  });

  test('a file of admin keys is taken once, without what no door takes', () => {
    const store = openTestStore();
    const path = join(temporaryDirectory(), 'authorized_keys');
    const keys = [makeKey('-t', 'ed25519'), makeKey('-t', 'ed25519')];
    writeFileSync(path, `# keys\n${keys[0]?.line}\nno-pty ${keys[1]?.line}\n${keys[1]?.line.replace('ada@laptop', '')}\nssh-dss AAAA old\n`);
    expect(addAdminKeys(store, path).map(({ name }) => name)).toEqual(['ada@laptop', 'admin']);
    expect(addAdminKeys(store, path)).toEqual([]);
    expect(findKeys(store).every(({ grant }) => grant.isAdmin)).toBe(true);
    writeFileSync(path, 'nothing here\n');
    expect(() => addAdminKeys(store, path)).toThrow(/holds no key that can be taken/);
    expect(() => addAdminKeys(store, `${path}.missing`)).toThrow(/cannot be read/);
  });
});

describe('tokens', () => {
  test('a token is printed once, alone on stdout, and works until it ends', async () => {
    const stage = openStage();
    const { stdout, stderr } = await stage.run(['tokens:create', 'ci', '--app', 'hello', '--expires', '30d']);
    const token = stdout.trim();
    expect(findTokenBySecret(stage.store, token)).toMatchObject({ name: 'ci', grant: { isAdmin: false, permission: 'deploy', apps: ['hello'] }, expiresAt: '2026-12-21T10:00:00.000Z' });
    expect(stderr).toContain('it may deploy hello, and ends in 30 d');
    const listed = await stage.ok('tokens');
    expect(listed).toMatch(/ci +deploy hello +just now +in 30 d/);
    expect(listed + (await stage.ok('tokens:list', '--json'))).not.toContain(token);
    await stage.ok('tokens:revoke', 'ci');
    expect(stage.ended).toEqual(['ci']);
    expect(findTokenBySecret(stage.store, token)).toBeUndefined();
  });

  test('a token ends after 90 days unless told otherwise', async () => {
    const stage = openStage();
    expect(JSON.parse(await stage.ok('tokens:create', 'ci', '--json'))).toMatchObject({ expiresAt: '2027-02-19T10:00:00.000Z' });
    expect(JSON.parse(await stage.ok('tokens:create', 'forever', '--expires', 'never', '--json'))).not.toHaveProperty('expiresAt');
    for (const wrong of ['0d', '30', 'soon', '-1d', '1y']) expect((await stage.run(['tokens:create', 'x', `--expires=${wrong}`])).status).toBe(2);
  });
});
