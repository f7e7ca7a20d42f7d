import { createHash, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createDispatch } from '../../src/ssh/dispatch.ts';
import { createEchoOperations, createSeen } from './echo-operations.ts';
import { outcomeOf, runSsh, silentLog, startServer, startSsh, type TestKey, type TestServer } from './start-server.ts';

const seen = createSeen();
const calls: string[] = [];
const git = (service: string) => async (_session: unknown, app: string) => {
  calls.push(`${service} ${app}`);
  return 9;
};

let ssh: TestServer;
let laptop: TestKey;

beforeAll(async () => {
  ssh = await startServer(createDispatch({ push: git('push'), fetch: git('fetch'), operations: createEchoOperations(seen), log: silentLog }));
  laptop = ssh.makeKey('laptop');
  ssh.allow(laptop, 'laptop');
});
afterAll(async () => await ssh[Symbol.asyncDispose]());

const run = async (command: string, input: string | Buffer = '', options: readonly string[] = []) => await runSsh([...ssh.sshArgs(laptop, options), command], input);

describe('a session', () => {
  test('gets its words, its actor and git’s protocol version, and any user name will do', async () => {
    const env = { ...process.env, GIT_PROTOCOL: 'version=2' };
    const { stdout } = await runSsh([...ssh.sshArgs(laptop, ['-o', 'SendEnv=GIT_PROTOCOL PATH']), "about 'a b' $HOME"], '', env);
    expect(JSON.parse(stdout.toString())).toEqual({ argv: ['a b', '$HOME'], actor: 'laptop', gitProtocol: 'version=2' });
  });

  test('drops a protocol version that git would not send', async () => {
    const env = { ...process.env, GIT_PROTOCOL: 'version=2:evil' };
    const { stdout } = await runSsh([...ssh.sshArgs(laptop, ['-o', 'SendEnv=GIT_PROTOCOL']), 'about'], '', env);
    expect(JSON.parse(stdout.toString())).not.toHaveProperty('gitProtocol');
  });

  test('returns its exit status, whichever of 0 to 255', async () => {
    for (const status of [0, 1, 2, 77, 128, 254, 255]) expect((await run(`status ${status}`)).status).toBe(status);
  });

  test('carries 50 MB both ways unharmed, with new keys on the way', async () => {
    const bytes = randomBytes(50 * 1024 * 1024);
    const { status, stdout, stderr } = await run('echo', bytes, ['-o', 'RekeyLimit=8M']);
    expect({ status, stderr, length: stdout.length }).toEqual({ status: 0, stderr: '', length: bytes.length });
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('delivers stdout and stderr whole and apart before it ends, more than the client’s window of each', async () => {
    const lines = 250_000;
    const { status, stdout, stderr } = await run(`both ${lines}`);
    expect(status).toBe(3);
    expect(stdout.toString()).toBe(Array.from({ length: lines }, (_, line) => `out ${line}\n`).join(''));
    expect(stderr).toBe(Array.from({ length: lines }, (_, line) => `err ${line}\n`).join(''));
  });

  test('shows an expected failure with details, hint and status, and hides an internal one', async () => {
    expect(await run('fail')).toMatchObject({ status: 5, stderr: ' !     it is there already\n       first line\n       second line\n !     remove it first\n' });
    const crash = await run('crash');
    expect(crash.status).toBe(70);
    expect(crash.stderr).toMatch(/^ ! {5}internal error \(id [0-9a-f]{8}\)/);
    expect(crash.stderr).not.toContain('secret');
    expect(await run("about 'x")).toMatchObject({ status: 2, stderr: expect.stringContaining('never closed') });
  });

  test('with a terminal knows its size and its changes, gets raw keys, and ends lines for it', async () => {
    // script(1) gives the client a terminal whose size stty can change.
    const words = ['ssh', ...ssh.sshArgs(laptop, ['-tt']), 'terminal'].join(' ');
    const child = spawn('script', ['-qec', `stty cols 91 rows 33; (sleep 1; stty cols 120 rows 40 </dev/tty; kill -WINCH $(pgrep -n -P $$ -x ssh) 2>/dev/null) & ${words}`, '/dev/null']);
    const outcome = outcomeOf(child);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await vi.waitFor(() => expect(text).toContain('size 91x33\r\n'), { timeout: 5_000 });
    await vi.waitFor(() => expect(text).toContain('size 120x40\r\n'), { timeout: 5_000 });
    child.stdin.write('\x03q');
    expect((await outcome).status).toBe(7);
    expect(text).toContain('\\u0003');
    expect((await run('lines', '', ['-tt'])).stdout.toString()).toContain('one\r\ntwo\r\n');
  });

  test('is aborted at once when its client is killed, and not when the client only ended its input', async () => {
    const child = startSsh([...ssh.sshArgs(laptop), 'hang']);
    child.stdin.end();
    await once(child.stderr, 'data');
    expect(seen.running).toBe(1);
    child.kill('SIGKILL');
    await vi.waitFor(() => expect(seen.running).toBe(0), { timeout: 2_000 });
  });

  test('that is killed in the middle of 100 MB both ways harms nobody', async () => {
    for (let round = 0; round < 5; round += 1) {
      const child = startSsh([...ssh.sshArgs(laptop), 'echo']);
      child.stdin.on('error', () => undefined);
      child.stdin.write(randomBytes(8 * 1024 * 1024));
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    expect((await run('status 4')).status).toBe(4);
  });

  test('ends with a reason when its key is removed', async () => {
    const phone = ssh.makeKey('phone');
    ssh.allow(phone, 'phone');
    const child = startSsh([...ssh.sshArgs(phone), 'hang']);
    const outcome = outcomeOf(child);
    await once(child.stderr, 'data');
    ssh.keys.delete(phone.blob);
    ssh.server.endSessionsOf('phone');
    expect(await outcome).toMatchObject({ status: 77, stderr: expect.stringContaining('the key phone was removed') });
    expect((await runSsh([...ssh.sshArgs(phone), 'about'])).stderr).toContain('Permission denied (publickey)');
  });
});

describe('commands', () => {
  test('of git reach its services with the app’s name', async () => {
    calls.length = 0;
    for (const command of ["git-receive-pack '/hello.git'", "git-receive-pack 'hello'", "git receive-pack '/hello'", "git-upload-pack '/hello.git/'"]) {
      expect((await run(command)).status).toBe(9);
    }
    expect(calls).toEqual(['push hello', 'push hello', 'push hello', 'fetch hello']);
  });

  test.each(["'/a/b'", "'../x'", "'/..'", "'Hello'", "'a;id'", "'$(id)'", `'${'a'.repeat(31)}'`, "'--exec=x'", "'a\nb'", "''", "'/forge'", "'hello' 'more'", ''])(
    'of git with the bad path %j are refused',
    async (path) => {
      calls.length = 0;
      expect((await run(`git-receive-pack ${path}`)).status).toBe(2);
      expect(calls).toEqual([]);
    },
  );

  test('that copy files, archive or are unknown are refused with a reason', async () => {
    expect((await run("git-upload-archive '/hello'")).stderr).toContain('git archive --remote is not served');
    expect((await run('scp -t /tmp')).stderr).toContain('no files to copy here');
    expect(await run('nonsense')).toMatchObject({ status: 2, stderr: ' !     no command "nonsense"\n !     see help\n' });
  });

  test('missing: a shell is answered with who you are and what to do', async () => {
    const { status, stdout } = await runSsh(ssh.sshArgs(laptop), 'rm -rf /\n');
    expect(status).toBe(0);
    expect(stdout.toString()).toContain('Hello laptop, forge knows you. There is no shell here');
  });
});

describe('what SSH can do besides is refused:', () => {
  test.each([
    ['forwarding a port of the server', ['-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1']],
    ['forwarding a socket of the server', ['-o', 'ExitOnForwardFailure=yes', '-R', '/tmp/forge-test.sock:127.0.0.1:1']],
    ['a connection from the server', ['-W', '127.0.0.1:22']],
    ['SFTP', ['-s', 'sftp']],
    ['another subsystem', ['-s', 'netconf']],
    ['a tunnel', ['-o', 'ExitOnForwardFailure=yes', '-w', 'any:any']],
  ])('%s', async (_what, options) => {
    const { status } = await runSsh([...ssh.sshArgs(laptop, options.filter((option) => option !== 'sftp' && option !== 'netconf')), ...(options[0] === '-s' ? options.slice(1) : options[0] === '-W' ? [] : ['about'])]);
    expect(status).not.toBe(0);
  });
});
