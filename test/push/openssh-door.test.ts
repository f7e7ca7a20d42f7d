import { once } from 'node:events';
import { createHash, randomBytes } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createDispatch } from '../../src/ssh/dispatch.ts';
import { createEchoOperations, createSeen } from '../ssh/echo-operations.ts';
import { outcomeOf, runSsh, silentLog, startSsh, type TestKey } from '../ssh/start-server.ts';
import { startSshd, type TestSshd } from './start-sshd.ts';

const seen = createSeen();
const git = (name: string) => async (_session: unknown, app: string) => {
  pushes.push(`${name} ${app}`);
  return 9;
};
const pushes: string[] = [];

describe.skipIf(process.getuid?.() !== 0)('the door through the machine’s OpenSSH', () => {
  let sshd: TestSshd;
  let laptop: TestKey;

  beforeAll(async () => {
    sshd = await startSshd(createDispatch({ push: git('push'), fetch: git('fetch'), operations: createEchoOperations(seen), log: silentLog }));
    laptop = sshd.makeKey('laptop');
    await sshd.openDoor();
    await sshd.allow({ laptop });
  });
  afterAll(async () => await sshd[Symbol.asyncDispose]());

  const run = async (command: string, input: string | Buffer = '', options: readonly string[] = []) => await runSsh([...sshd.sshArgs(laptop, options), command], input);

  test('hands over the words, the actor and git’s protocol version', async () => {
    const { stdout, stderr, status } = await runSsh([...sshd.sshArgs(laptop, ['-o', 'SendEnv=GIT_PROTOCOL NODE_OPTIONS']), "about 'a b' $HOME"], '', {
      ...process.env,
      GIT_PROTOCOL: 'version=2',
      NODE_OPTIONS: '--no-such-option',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout.toString())).toEqual({ argv: ['a b', '$HOME'], actor: 'laptop', gitProtocol: 'version=2' });
  });

  test('returns every exit status', async () => {
    for (const status of [0, 1, 77, 255]) expect((await run(`status ${status}`)).status).toBe(status);
  });

  test('carries 50 MB both ways unharmed', async () => {
    const bytes = randomBytes(50 * 1024 * 1024);
    const { status, stdout } = await run('echo', bytes);
    expect({ status, length: stdout.length }).toEqual({ status: 0, length: bytes.length });
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('keeps stdout and stderr whole and apart', async () => {
    const { status, stdout, stderr } = await run('both 20000');
    expect({ status, out: stdout.toString().split('\n').length, err: stderr.split('\n').length }).toEqual({ status: 3, out: 20_001, err: 20_001 });
  });

  test('gives a terminal with its size and raw keys, although the key is restricted', async () => {
    const child = startSsh([...sshd.sshArgs(laptop, ['-tt']), 'terminal']);
    const outcome = outcomeOf(child);
    await once(child.stdout, 'data');
    child.stdin.write('x\x03q');
    const { status, stdout } = await outcome;
    expect(status).toBe(7);
    expect(stdout.toString()).toMatch(/^size \d+x\d+\r\n/);
    expect(stdout.toString()).toContain('\\u0003');
  });

  test('ends lines for the terminal as a terminal wants them', async () => {
    expect((await run('lines', '', ['-tt'])).stdout.toString().replaceAll('\r\r\n', '\r\n')).toBe('one\r\ntwo\r\nthree\r\n');
  });

  test('aborts the session at once when the client is killed', async () => {
    const before = seen.aborted.length;
    const child = startSsh([...sshd.sshArgs(laptop), 'hang']);
    await vi.waitFor(() => expect(seen.running).toBe(1), { timeout: 10_000 });
    child.kill('SIGKILL');
    await vi.waitFor(() => expect(seen.aborted.length).toBe(before + 1), { timeout: 2_000 });
  });

  test('does not take a client that only ended its input for one that left', async () => {
    const before = seen.aborted.length;
    const child = startSsh([...sshd.sshArgs(laptop), 'hang']);
    child.stdin.end();
    await vi.waitFor(() => expect(seen.running).toBe(1), { timeout: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(seen.aborted.length).toBe(before);
    child.kill('SIGKILL');
    await vi.waitFor(() => expect(seen.running).toBe(0), { timeout: 2_000 });
  });

  test('serves git’s services for forge@host:app', async () => {
    pushes.length = 0;
    const [destination = '', ...options] = sshd.sshArgs(laptop).toReversed();
    await outcomeOf(spawn('git', ['-c', `core.sshCommand=ssh ${options.toReversed().join(' ')}`, 'ls-remote', `${destination}:hello`]));
    expect(pushes).toEqual(['fetch hello']);
  });

  test('refuses a shell, forwarding, SFTP, scp and keys that sshd does not know', async () => {
    const shell = await runSsh(sshd.sshArgs(laptop));
    expect(shell.stdout.toString()).toContain('Hello laptop');
    const forward = await runSsh([...sshd.sshArgs(laptop, ['-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1']), 'about']);
    expect(forward.status).toBe(255);
    expect((await runSsh(['-s', ...sshd.sshArgs(laptop), 'sftp'])).status).toBe(77);
    const stranger = await runSsh([...sshd.sshArgs(sshd.makeKey('stranger')), 'about']);
    expect(stranger.stderr).toContain('Permission denied (publickey)');
  });

  test('refuses a key that forge has removed although sshd still knows it, and ends its sessions', async () => {
    const phone = sshd.makeKey('phone');
    await sshd.allow({ laptop, phone });
    const child = startSsh([...sshd.sshArgs(phone), 'hang']);
    const outcome = outcomeOf(child);
    await vi.waitFor(() => expect(seen.running).toBe(1), { timeout: 10_000 });
    sshd.keys.delete(phone.fingerprint);
    sshd.door.endSessionsOf('phone');
    expect(await outcome).toMatchObject({ status: 77, stderr: expect.stringContaining('the key phone was removed') });
    expect(await runSsh([...sshd.sshArgs(phone), 'about'])).toMatchObject({ status: 77, stderr: expect.stringContaining('does not know this key') });
  });

  test('lets people in while forge is down, to tell them so', async () => {
    await sshd.closeDoor();
    const { status, stderr } = await run('about');
    expect(status).toBe(69);
    expect(stderr).toContain('forge is not running');
    await sshd.openDoor();
  });

  test('concerns the login account only', () => {
    const settingsOf = (user: string) => spawnSync('/usr/sbin/sshd', ['-T', '-f', sshd.configPath, '-C', `user=${user},host=x,addr=127.0.0.1`], { encoding: 'utf8' }).stdout;
    expect(settingsOf('root')).toContain('allowtcpforwarding yes');
    expect(settingsOf('root')).toContain('authorizedkeyscommand none');
    expect(settingsOf('root')).toContain('loglevel VERBOSE');
  });
});
