import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSession, type ClientSession } from '../../src/control/client.ts';
import { encodeJson, frameTypes, stdinWindowBytes } from '../../src/control/frames.ts';
import { listenControl, type ControlConnection, type ControlServer, type ListenControl } from '../../src/control/server.ts';
import { refuseSecondServer } from '../../src/control/socket-file.ts';
import type { ForgeError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';

const log = createLog('silent', 'test');
let folder: string;
let socketPath: string;
let servers: ControlServer[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forge-control-'));
  socketPath = join(folder, 'admin.sock');
  servers = [];
});

afterEach(async () => {
  for (const server of servers) await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function listen(onConnection: ListenControl['onConnection'], options: Partial<ListenControl> = {}): Promise<ControlServer> {
  const server = await listenControl({ socketPath, mode: 0o600, accepts: ['session', 'hook', 'door'], onConnection, log, ...options });
  servers.push(server);
  return server;
}

function session(changes: Partial<ClientSession> = {}) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const status = runSession({ socketPath, hello: { kind: 'session', argv: ['apps:list'] }, stdin: undefined, stdout, stderr, ...changes });
  void status.finally(() => (stdout.end(), stderr.end())).catch(() => undefined);
  return { status, stdout: text(stdout), stderr: text(stderr) };
}

describe('a control session', () => {
  it('carries argv, stdin, both outputs and the exit status', async () => {
    await listen(async (connection) => {
      const said = await text(connection.stdin);
      connection.stderr.write('to stderr');
      connection.stdout.write(`${JSON.stringify(connection.hello)} ${said}`);
      await connection.exit(7);
    });
    const { status, stdout, stderr } = session({ stdin: Readable.from([Buffer.from('hello '), Buffer.from('forge')]) });
    expect(await status).toBe(7);
    expect(await stdout).toBe('{"kind":"session","argv":["apps:list"]} hello forge');
    expect(await stderr).toBe('to stderr');
  });

  it('carries megabytes both ways, whole and in order', async () => {
    await listen(async (connection) => {
      await pipeline(connection.stdin, connection.stdout);
      await connection.exit(0);
    });
    const sent = Buffer.alloc(20 * 1024 * 1024, 'forge is here; ');
    const received: Buffer[] = [];
    const stdout = new Writable({ highWaterMark: 1024, write: (chunk: Buffer, _encoding, done) => (received.push(chunk), setImmediate(done)) });
    const { status } = session({ stdin: Readable.from(slices(sent, 333_333)), stdout });
    expect(await status).toBe(0);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  });

  it('lets no more stdin through than the handler reads, and still notices that the client left', async () => {
    const left = Promise.withResolvers<unknown>();
    let sentBytes = 0;
    await listen(async ({ signal }) => {
      signal.addEventListener('abort', () => left.resolve((signal.reason as ForgeError).code));
      await left.promise;
    });
    const endless = new Readable({ read: () => void (sentBytes += 65_536, endless.push(Buffer.alloc(65_536))) });
    const leave = new AbortController();
    const { status } = session({ stdin: endless, signal: leave.signal });
    let before = -1;
    while (before !== sentBytes || sentBytes === 0) {
      before = sentBytes;
      for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sentBytes).toBeLessThan(2 * 1024 * 1024);
    leave.abort();
    await expect(status).rejects.toMatchObject({ code: 'canceled' });
    expect(await left.promise).toBe('canceled');
  });

  it('goes on when the handler first reads after the whole window has come', async () => {
    const sent = Buffer.alloc(2_000_000, 'forge is here; ');
    let received = Buffer.alloc(0);
    await listen(async (connection) => {
      while (connection.stdin.readableLength < stdinWindowBytes) await new Promise((resolve) => setImmediate(resolve));
      received = await buffer(connection.stdin);
      await connection.exit(0);
    });
    expect(await session({ stdin: Readable.from(slices(sent, 333_333)) }).status).toBe(0);
    expect(received.equals(sent)).toBe(true);
  });

  it('tells the size of the terminal and every change of it', async () => {
    const sizes: string[] = [];
    await listen(async (connection) => {
      const { terminal } = connection;
      sizes.push(`${terminal?.columns}x${terminal?.rows}`);
      const changed = Promise.withResolvers<void>();
      terminal?.onResize((columns, rows) => (sizes.push(`${columns}x${rows}`), changed.resolve()));
      connection.stdout.write('ready');
      await changed.promise;
      await connection.exit(0);
    });
    const listeners: ((columns: number, rows: number) => void)[] = [];
    const stdout = new PassThrough();
    stdout.once('data', () => listeners.forEach((listener) => listener(120, 40)));
    const { status } = session({ stdout, terminal: { columns: 80, rows: 24, onResize: (listener) => listeners.push(listener) } });
    expect(await status).toBe(0);
    expect(sizes).toEqual(['80x24', '120x40']);
  });

  it('tells who asks only later the newest size of the terminal', async () => {
    const resized = Promise.withResolvers<void>();
    let size = '';
    await listen(async ({ terminal, exit, stdin }) => {
      await text(stdin);
      size = `${terminal?.columns}x${terminal?.rows}`;
      await exit(0);
    });
    const stdin = new PassThrough();
    const terminal = { columns: 80, rows: 24, onResize: (listener: (columns: number, rows: number) => void) => (listener(120, 40), resized.resolve()) };
    const { status } = session({ stdin, terminal });
    await resized.promise;
    stdin.end();
    expect(await status).toBe(0);
    expect(size).toBe('120x40');
  });

  it('sends everything written before the exit, to a slow reader too', async () => {
    await listen(async (connection) => {
      for (let line = 0; line < 5_000; line += 1) connection.stdout.write(`line ${line}\n`);
      await connection.exit(3);
    });
    let lines = 0;
    const slow = new Writable({ highWaterMark: 16, write: (chunk: Buffer, _encoding, done) => (lines += chunk.toString().split('\n').length - 1, setImmediate(done)) });
    const { status } = session({ stdout: slow });
    expect(await status).toBe(3);
    expect(lines).toBe(5_000);
  });

  it('starts stdin only when the server asks, where the client wants to be asked', async () => {
    let archive = '';
    const said: unknown[] = [];
    await listen(async (connection) => {
      connection.onMessage((message) => said.push(message));
      connection.send({ open: 'archive' });
      archive = await text(connection.stdin);
      await connection.exit(0);
    });
    const asked: unknown[] = [];
    const { status } = session({ onMessage: (message, replies) => (asked.push(message), replies.send({ ready: true }), replies.sendStdin(Readable.from([Buffer.from('a tar')]))) });
    expect(await status).toBe(0);
    expect([asked, said, archive]).toEqual([[{ open: 'archive' }], [{ ready: true }], 'a tar']);
  });

  it('ends with 141 when the reader of its output goes away', async () => {
    await listen(async (connection) => {
      while (!connection.signal.aborted) if (!connection.stdout.write('y\n'.repeat(1000))) await new Promise((resolve) => connection.stdout.once('drain', resolve).once('close', resolve));
    });
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    expect(await session({ stdout }).status).toBe(141);
  });

  it('says that forge is not running when nothing answers', async () => {
    await expect(session().status).rejects.toMatchObject({ code: 'unavailable', message: `forge is not running: nothing answers at ${socketPath}` });
  });

  it('rejects when forge dies in the middle', async () => {
    const server = await listen(() => new Promise(() => undefined));
    const { status } = session();
    await Promise.all([expect(status).rejects.toMatchObject({ code: 'unavailable' }), server.close()]);
  });

  it('ends with 70 when the handler throws', async () => {
    await listen(() => Promise.reject(new Error('a bug')));
    expect(await session().status).toBe(70);
  });
});

describe('a control socket', () => {
  it('has its mode from the first moment, and is gone after close', async () => {
    const server = await listen((connection) => connection.exit(0), { mode: 0o620 });
    expect((await stat(socketPath)).mode & 0o777).toBe(0o620);
    await server.close();
    await expect(stat(socketPath)).rejects.toThrow('ENOENT');
  });

  it('replaces the file of a dead server, but refuses to start beside a live one', async () => {
    const dead = await listen((connection) => connection.exit(0));
    await expect(listen((connection) => connection.exit(1))).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('another forge is running') as string });
    await expect(refuseSecondServer(socketPath)).rejects.toMatchObject({ code: 'conflict' });
    expect(await session().status).toBe(0);
    await rm(socketPath);
    await dead.close();
    await refuseSecondServer(socketPath);
    await leaveSocketFile();
    await listen((connection) => connection.exit(4));
    expect(await session().status).toBe(4);
  });

  it('leaves exactly one of two that start at the same moment', async () => {
    await leaveSocketFile();
    const started = await Promise.allSettled([listen((c) => c.exit(0)), listen((c) => c.exit(0)), listen((c) => c.exit(0))]);
    expect(started.map((result) => result.status).filter((status) => status === 'fulfilled')).toHaveLength(1);
    expect(await session().status).toBe(0);
  });

  it('never removes a file that is no socket', async () => {
    await writeFile(socketPath, 'precious');
    await expect(listen((connection) => connection.exit(0))).rejects.toMatchObject({ code: 'invalid' });
    expect((await stat(socketPath)).size).toBe(8);
  });

  it('says so when its folder is missing', async () => {
    const missing = listenControl({ socketPath: join(tmpdir(), 'forge-no-such-folder', 's'), mode: 0o600, accepts: ['session'], onConnection: async () => undefined, log: createLog('silent', 'test') });
    await expect(missing).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('its folder does not exist') as string });
  });

  it('takes only the kinds of hello it is for', async () => {
    await listen((connection: ControlConnection) => connection.exit(0), { accepts: ['door'] });
    const { status, stderr } = session();
    expect(await status).toBe(2);
    expect(await stderr).toContain('takes no session connections');
  });

  it.each([
    ['a hello that is no JSON', Buffer.concat([Buffer.from([1, 0, 0, 0, 1]), Buffer.from('{')])],
    ['an unknown hello', encodeJson(frameTypes.hello, { kind: 'root' })],
    ['a hello over the limit', Buffer.from([1, 0xff, 0xff, 0xff, 0xff])],
    ['a frame before the hello', Buffer.from([3, 0, 0, 0, 0])],
    ['an unknown frame', Buffer.from([99, 0, 0, 0, 0])],
    ['more stdin than was granted', Buffer.concat([encodeJson(frameTypes.hello, { kind: 'session', argv: [] }), ...Array.from({ length: 20 }, () => Buffer.concat([Buffer.from([2, 0, 1, 0, 0]), Buffer.alloc(65_536)]))])],
  ])('closes on %s and goes on serving', async (_name, bytes) => {
    await listen(async (connection) => {
      if (connection.hello.kind === 'session' && connection.hello.argv.length === 0) await new Promise((resolve) => connection.signal.addEventListener('abort', resolve));
      await connection.exit(0);
    });
    const socket = connect(socketPath);
    socket.on('error', () => undefined);
    socket.write(bytes);
    await new Promise((resolve) => socket.on('close', resolve));
    expect(await session().status).toBe(0);
  });
});

function* slices(buffer: Buffer, size: number): Generator<Buffer> {
  for (let offset = 0; offset < buffer.length; offset += size) yield buffer.subarray(offset, offset + size);
}

/** A socket file that nobody listens on, as a killed forge leaves it. */
async function leaveSocketFile(): Promise<void> {
  const { createServer } = await import('node:net');
  const { rename } = await import('node:fs/promises');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder, 'x'), resolve));
  await rename(join(folder, 'x'), socketPath);
  await new Promise((resolve) => server.close(resolve));
}
