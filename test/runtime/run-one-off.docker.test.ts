import { createHash, randomBytes } from 'node:crypto';
import { PassThrough, Readable, Writable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Terminal } from '../../src/domain.ts';
import { behaviourImage } from '../support/images.ts';
import { docker, imageOf, releaseOf, testRuntime, type TestRuntime } from './support.ts';

/** Engines of busy machines are slow. */
const patience = { timeout: 30_000 };
let forge: TestRuntime;
let reference: string;
beforeAll(async () => {
  reference = await behaviourImage();
  forge = testRuntime(['hello']);
});
afterAll(async () => await forge?.[Symbol.asyncDispose]());

const run = (argv: readonly string[], more: { stdin?: Readable; terminal?: Terminal; signal?: AbortSignal; config?: Record<string, string> } = {}) => {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const status = forge.runtime
    .runOneOff({
      release: releaseOf(imageOf(reference), { config: more.config ?? {} }),
      argv,
      env: {},
      terminal: more.terminal,
      stdin: more.stdin ?? Readable.from([]),
      stdout,
      stderr,
      signal: more.signal ?? AbortSignal.timeout(60_000),
    })
    .finally(() => {
      stdout.end();
      stderr.end();
    });
  return { status, stdout, stderr };
};
const containers = () => docker.listContainers({ all: true, filters: { label: [`forge.data=${forge.dataId}`] } });

test('the exit status is passed on and both streams stay apart', async () => {
  const { status, stdout, stderr } = run(['sh', '-c', 'echo out; echo err >&2; exit 7']);
  expect(await Promise.all([text(stdout), text(stderr), status])).toEqual(['out\n', 'err\n', 7]);
  expect(await containers()).toEqual([]);
});

test('the words of the command reach the program as they are', async () => {
  const words = ['a b', '$HOME', ';', "it's", '*', ''];
  const { status, stdout } = run(['node', '-p', 'JSON.stringify(process.argv.slice(1))', '--', ...words]);
  expect(JSON.parse(await text(stdout))).toEqual(words);
  expect(await status).toBe(0);
});

test('the command sees the config of the release and its place', async () => {
  const { status, stdout } = run(['sh', '-c', 'echo $COLOR $PORT $FORGE_APP $FORGE_RELEASE'], { config: { COLOR: 'green' } });
  expect(await text(stdout)).toBe('green 5000 hello v1\n');
  expect(await status).toBe(0);
});

test('10 MB of input come back whole through a slow reader', async () => {
  const bytes = randomBytes(10 * 1024 * 1024);
  const { status, stdout } = run(['cat'], { stdin: Readable.from([bytes]) });
  const echoed = await buffer(stdout);
  expect(createHash('sha256').update(echoed).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(await status).toBe(0);
});

test('a command that does not read its input ends all the same', async () => {
  const { status, stdout } = run(['echo', 'done'], { stdin: new PassThrough() });
  expect(await text(stdout)).toBe('done\n');
  expect(await status).toBe(0);
});

test('a terminal whose input has ended loses no output', async () => {
  const size: Terminal = { columns: 80, rows: 24, onResize: () => undefined };
  for (let round = 0; round < 5; round += 1) {
    const { status, stdout } = run(['sh', '-c', 'echo first; sleep 0.05; echo last'], { terminal: size });
    expect(await text(stdout)).toBe('first\r\nlast\r\n');
    expect(await status).toBe(0);
  }
});

test('an unknown command says so', async () => {
  const { status, stderr } = run(['no-such-command']);
  expect(await text(stderr)).toContain('no-such-command');
  expect(await status).toBe(127);
});

test('a terminal is one inside the container, with its size and its changes', async () => {
  let change: (columns: number, rows: number) => void = () => undefined;
  const terminal: Terminal = { columns: 101, rows: 33, onResize: (listener) => (change = listener) };
  const stdin = new PassThrough();
  const script = 'test -t 0 && echo terminal; until test "$(stty size)" = "33 101"; do :; done; echo first; until test "$(stty size)" = "40 120"; do :; done; echo second; read line; echo "got $line"';
  const { status, stdout } = run(['sh', '-c', script], { terminal, stdin });
  let seen = '';
  stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  await expect.poll(() => seen, patience).toContain('first');
  change(120, 40);
  await expect.poll(() => seen, patience).toContain('second');
  stdin.write('word\n');
  await expect.poll(() => seen, patience).toContain('got word');
  expect(await status).toBe(0);
});

test('a person who leaves takes the container along', async () => {
  const controller = new AbortController();
  const { status } = run(['sleep', '600'], { signal: controller.signal, stdin: new PassThrough() });
  const ended = expect(status).rejects.toMatchObject({ code: 'canceled' });
  await expect.poll(async () => (await containers()).map(({ State }) => State), patience).toEqual(['running']);
  expect(await forge.runtime.findInstances()).toEqual([]);
  controller.abort();
  await ended;
  expect(await containers()).toEqual([]);
});

test('what a killed forge left is removed by the next one', async () => {
  const { status } = run(['sleep', '600'], { stdin: new PassThrough() });
  const ended = status.catch(() => undefined);
  await expect.poll(async () => (await containers()).map(({ State }) => State), patience).toEqual(['running']);
  await forge.runtime.removeAbandoned();
  expect((await containers()).map(({ State }) => State)).toEqual(['running']);
  await testRuntime(['hello'], forge.dataId).runtime.removeAbandoned();
  await ended;
  expect(await containers()).toEqual([]);
});

test('a reader that takes nothing holds the command up instead of filling memory, and removing the app ends it', async () => {
  const held: (() => void)[] = [];
  let taken = 0;
  const stdout = new Writable({
    highWaterMark: 16 * 1024,
    write: (chunk: Buffer, _encoding, done) => {
      taken += chunk.length;
      held.push(done);
    },
  });
  const status = forge.runtime.runOneOff({
    release: releaseOf(imageOf(reference)),
    argv: ['sh', '-c', 'yes | head -c 50000000; echo end >&2'],
    env: {},
    terminal: undefined,
    stdin: Readable.from([]),
    stdout,
    stderr: new PassThrough(),
    signal: AbortSignal.timeout(120_000),
  });
  const ended = expect(status).rejects.toMatchObject({ code: 'canceled' });
  await expect.poll(() => taken, patience).toBeGreaterThan(0);
  const before = taken;
  await expect.poll(async () => (await containers()).length, patience).toBe(1);
  expect(taken).toBe(before);
  // The engine itself would wait for the reader; removing the app ends the command first.
  await forge.runtime.removeApp('hello');
  await ended;
  expect(await containers()).toEqual([]);
});
