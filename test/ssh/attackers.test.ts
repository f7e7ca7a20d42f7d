/** Clients that do not play by the rules. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import ssh2, { type ParsedKey, type SignCallback, type SigningRequestOptions } from 'ssh2';
import { describe, expect, test, vi } from 'vitest';
import { generateHostKey } from '../../src/ssh/host-key.ts';
import { createDispatch } from '../../src/ssh/dispatch.ts';
import type { SshLimits } from '../../src/ssh/limits.ts';
import { createEchoOperations, createSeen } from './echo-operations.ts';
import { actor, outcomeOf, runSsh, silentLog, startServer, startSsh, type TestKey, type TestServer } from './start-server.ts';

function generateKey(type: 'ecdsa' | 'rsa'): { readonly privateKey: string; readonly publicKey: string } {
  const pair = ssh2.utils.generateKeyPairSync(type as 'rsa', { bits: type === 'rsa' ? 2048 : 256 });
  return { privateKey: pair.private, publicKey: pair.public };
}

const refuse = async (): Promise<number> => 1;

async function start(limits: Partial<SshLimits> = {}): Promise<{ ssh: TestServer; laptop: TestKey; seen: ReturnType<typeof createSeen> }> {
  const seen = createSeen();
  const ssh = await startServer(createDispatch({ push: refuse, fetch: refuse, operations: createEchoOperations(seen), log: silentLog }), limits);
  const laptop = ssh.makeKey('laptop');
  ssh.allow(laptop, 'laptop');
  return { ssh, laptop, seen };
}

/** Knows a public key, and answers every request to sign with what it was given. */
class Forger extends ssh2.BaseAgent<ParsedKey> {
  readonly #key: ParsedKey;
  readonly #sign: (data: Buffer, hash: string | undefined) => Buffer;
  constructor(publicKey: string, sign: (data: Buffer, hash: string | undefined) => Buffer) {
    super();
    const key = ssh2.utils.parseKey(publicKey);
    if (key instanceof Error || Array.isArray(key)) throw new Error('not a key');
    this.#key = key;
    this.#sign = sign;
  }
  override getIdentities(callback: (error?: Error | null, keys?: ParsedKey[]) => void): void {
    callback(null, [this.#key]);
  }
  override sign(_key: ParsedKey, data: Buffer, options: SigningRequestOptions | SignCallback, callback?: SignCallback): void {
    const done = typeof options === 'function' ? options : callback;
    done?.(null, this.#sign(data, typeof options === 'function' ? undefined : options.hash));
  }
}

/** Whether the server lets a client with this agent in. */
async function isLetIn(port: number, agent: Forger): Promise<boolean> {
  const client = new ssh2.Client();
  const outcome = new Promise<boolean>((resolve) => client.on('ready', () => resolve(true)).on('error', () => resolve(false)));
  client.connect({ host: '127.0.0.1', port, username: 'git', agent });
  return await outcome.finally(() => client.destroy());
}

async function logIn(ssh: TestServer, key: TestKey): Promise<ssh2.Client> {
  const client = new ssh2.Client();
  client.on('error', () => undefined);
  client.connect({ host: '127.0.0.1', port: ssh.server.port, username: 'git', privateKey: readFileSync(key.path) });
  await once(client, 'ready');
  return client;
}

const dial = async (port: number): Promise<Socket> => {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
};

/** Reads to the end. */
const drain = async (socket: Socket): Promise<void> => {
  socket.resume();
  await once(socket, 'close');
};

describe('a key is only as good as the proof of it:', () => {
  test('someone with the public key alone is refused, whatever they sign with', async () => {
    const { ssh, laptop } = await start();
    await using _ssh = ssh;
    const publicKey = `${laptop.type} ${laptop.blob}`;
    const own = ssh2.utils.parseKey(generateHostKey().privateKey) as ParsedKey;
    for (const sign of [() => randomBytes(64), () => Buffer.alloc(64), (data: Buffer) => own.sign(data), () => randomBytes(3)]) {
      expect(await isLetIn(ssh.server.port, new Forger(publicKey, sign))).toBe(false);
    }
  });

  test('the holder of the private key is let in by the same way', async () => {
    const { ssh } = await start();
    await using _ssh = ssh;
    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      const { privateKey, publicKey } = type === 'ed25519' ? generateHostKey() : generateKey(type);
      const key = ssh2.utils.parseKey(privateKey) as ParsedKey;
      ssh.keys.set(key.getPublicSSH().toString('base64'), actor(type));
      const forger = new Forger(publicKey, (data, hash) => key.sign(data, hash) as Buffer);
      expect([type, await isLetIn(ssh.server.port, forger)]).toEqual([type, true]);
    }
  });

  test('RSA of 1024 bits is refused although it is registered and proven', async () => {
    const { ssh } = await start();
    await using _ssh = ssh;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024, publicKeyEncoding: { type: 'pkcs1', format: 'pem' }, privateKeyEncoding: { type: 'pkcs1', format: 'pem' } });
    const key = ssh2.utils.parseKey(privateKey) as ParsedKey;
    const blob = key.getPublicSSH().toString('base64');
    ssh.keys.set(blob, actor('short'));
    expect(await isLetIn(ssh.server.port, new Forger(`ssh-rsa ${blob}`, (data, hash) => key.sign(data, hash) as Buffer))).toBe(false);
  });

  test('an unknown key and a password are refused, and the client hears that only keys count', async () => {
    const { ssh } = await start();
    await using _ssh = ssh;
    const { status, stderr } = await runSsh([...ssh.sshArgs(ssh.makeKey('stranger')), 'about']);
    expect({ status, stderr }).toMatchObject({ status: 255, stderr: expect.stringContaining('Permission denied (publickey)') });
  });
});

describe('limits:', () => {
  test('a client that tries too many keys is cut off', async () => {
    const { ssh, laptop } = await start({ authAttempts: 2 });
    await using _ssh = ssh;
    const others = ['one', 'two', 'three'].flatMap((name) => ['-i', ssh.makeKey(name).path]);
    const args = ssh.sshArgs(laptop).toSpliced(4, 2, ...others, '-i', laptop.path);
    expect((await runSsh([...args, 'about'])).status).toBe(255);
  });

  test('who does not log in within the grace time is cut off, garbage and silence alike', async () => {
    const { ssh, laptop } = await start({ loginGraceMs: 400 });
    await using _ssh = ssh;
    const silent = await dial(ssh.server.port);
    const halfway = await dial(ssh.server.port);
    halfway.write('SSH-2.0-slow\r\n');
    const garbage = await dial(ssh.server.port);
    garbage.write(randomBytes(100_000));
    const web = await dial(ssh.server.port);
    web.write('GET / HTTP/1.1\r\n\r\n');
    await Promise.all([silent, halfway, garbage, web].map(drain));
    expect((await runSsh([...ssh.sshArgs(laptop), 'status 3'])).status).toBe(3);
  });

  test('strangers from one address leave room for others, and for those who have logged in', async () => {
    const { ssh, laptop } = await start({ unauthenticatedPerAddress: 3 });
    await using _ssh = ssh;
    const working = startSsh([...ssh.sshArgs(laptop), 'hang']);
    await once(working.stderr, 'data');
    const strangers = await Promise.all([1, 2, 3].map(async () => await dial(ssh.server.port)));
    await drain(await dial(ssh.server.port));
    expect(working.exitCode).toBe(null);
    strangers[0]?.destroy();
    await vi.waitFor(async () => expect((await runSsh([...ssh.sshArgs(laptop), 'status 5'])).status).toBe(5), { timeout: 5_000, interval: 50 });
    for (const stranger of strangers) stranger.destroy();
    working.kill();
  });

  test('a connection that nobody uses is closed', async () => {
    const { ssh, laptop } = await start({ idleMs: 300 });
    await using _ssh = ssh;
    const child = startSsh([...ssh.sshArgs(laptop, ['-N'])]);
    await outcomeOf(child);
  });

  test('a session without a byte ends after its time and says so', async () => {
    const { ssh, laptop } = await start({ sessionIdleMs: 300 });
    await using _ssh = ssh;
    expect(await runSsh([...ssh.sshArgs(laptop), 'hang'])).toMatchObject({ status: 124, stderr: expect.stringContaining('nothing was sent or received') });
  });

  test('a client that is frozen is taken for gone', async () => {
    const { ssh, laptop, seen } = await start({ keepaliveMs: 200, keepaliveCount: 2 });
    await using _ssh = ssh;
    const child = startSsh([...ssh.sshArgs(laptop), 'hang']);
    await once(child.stderr, 'data');
    child.kill('SIGSTOP');
    await vi.waitFor(() => expect(seen.running).toBe(0), { timeout: 5_000 });
    child.kill('SIGKILL');
  });

  test('one connection has only so many sessions at a time', async () => {
    const { ssh, laptop } = await start({ sessionsPerConnection: 2 });
    await using _ssh = ssh;
    const client = await logIn(ssh, laptop);
    const open = async () => await new Promise<boolean>((resolve) => client.exec('hang', (error) => resolve(!error)));
    expect([await open(), await open(), await open()]).toEqual([true, true, false]);
    client.destroy();
  });
});

test('a client with packets of no size cannot make the server spin', async () => {
  const { ssh, laptop } = await start();
  await using _ssh = ssh;
  const client = await logIn(ssh, laptop);
  const { _protocol: protocol, _chanMgr: channels } = client as unknown as { _protocol: { session: (id: number, window: number, packet: number) => void }; _chanMgr: { add: (callback: unknown) => number } };
  const opened = new Promise<ssh2.ClientChannel>((resolve) => {
    const callback = Object.assign((_error: unknown, channel: ssh2.ClientChannel) => resolve(channel), { type: 'session' });
    protocol.session(channels.add(callback), 1_000_000, 0);
  });
  const channel = await opened;
  const { outgoing } = channel as unknown as { outgoing: { id: number } };
  (protocol as unknown as { exec: (id: number, command: string, wantReply: boolean) => void }).exec(outgoing.id, 'both 10', false);
  expect((await runSsh([...ssh.sshArgs(laptop), 'status 8'])).status).toBe(8);
  client.destroy();
});

test('100 clients at once are all served', async () => {
  const { ssh, laptop } = await start();
  await using _ssh = ssh;
  const outcomes = await Promise.all(Array.from({ length: 100 }, async (_, index) => await runSsh([...ssh.sshArgs(laptop), `status ${index}`])));
  expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, (_, index) => index));
}, 60_000);

test('a client that reads nothing costs no memory', async () => {
  const { ssh, laptop } = await start();
  await using _ssh = ssh;
  const child = startSsh([...ssh.sshArgs(laptop), 'echo']);
  child.stdin.on('error', () => undefined);
  child.stdin.write(Buffer.alloc(80 * 1024 * 1024));
  await vi.waitFor(() => expect(child.stdin.writableLength).toBeGreaterThan(0));
  const before = process.memoryUsage().rss;
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  child.kill('SIGKILL');
});
