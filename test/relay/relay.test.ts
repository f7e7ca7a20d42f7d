import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { listenControl, type ControlServer } from '../../src/control/server.ts';
import { relayCommand } from '../../src/ssh/authorized-keys.ts';
import { createDispatch } from '../../src/ssh/dispatch.ts';
import { createDoor } from '../../src/ssh/door.ts';
import { createEchoOperations, createSeen } from '../ssh/echo-operations.ts';
import { actor, outcomeOf, silentLog } from '../ssh/start-server.ts';

const relayPath = fileURLToPath(new URL('../../src/relay/relay.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'forge-relay-'));
const socketPath = join(folder, 'door.sock');
const seen = createSeen();
const refuse = async (): Promise<number> => 1;
let control: ControlServer;

beforeAll(async () => {
  const handleSession = createDispatch({ push: refuse, fetch: refuse, operations: createEchoOperations(seen), log: silentLog });
  const findKeyByFingerprint = (fingerprint: string) => (fingerprint === 'SHA256:known' ? actor('laptop') : undefined);
  const door = createDoor({ findKeyByFingerprint, handleSession, log: silentLog });
  control = await listenControl({
    socketPath,
    mode: 0o600,
    accepts: ['door'],
    onConnection: async (connection) => {
      if (connection.hello.kind === 'door') await door.handle(connection.hello, connection);
    },
    log: silentLog,
  });
});
afterAll(async () => {
  await control.close();
  rmSync(folder, { recursive: true });
});

/** Starts the relay as sshd does. */
function start(command: string | undefined, { fingerprint = 'SHA256:known', socket = socketPath, env = {} } = {}) {
  const [node = '', ...args] = relayCommand(process.execPath, relayPath, socket);
  return spawn(node, [...args, fingerprint], { env: { ...env, ...(command === undefined ? {} : { SSH_ORIGINAL_COMMAND: command }) } });
}

test('it hands over the command, git’s protocol version and the input, and ends as the session does', async () => {
  const about = start("about 'a b'", { env: { GIT_PROTOCOL: 'version=2' } });
  about.stdin.end();
  const { stdout } = await outcomeOf(about);
  expect(JSON.parse(stdout.toString())).toEqual({ argv: ['a b'], actor: 'laptop', gitProtocol: 'version=2' });
  const echo = start('echo');
  echo.stdin.end(Buffer.alloc(5_000_000, 'x'));
  expect(await outcomeOf(echo)).toMatchObject({ status: 0, stdout: { length: 5_000_000 }, stderr: '' });
  expect((await outcomeOf(start('status 77'))).status).toBe(77);
});

test('without a command it greets', async () => {
  expect((await outcomeOf(start(undefined))).stdout.toString()).toContain('Hello laptop');
});

test('a fingerprint that forge does not know is refused', async () => {
  expect(await outcomeOf(start('about', { fingerprint: 'SHA256:other' }))).toMatchObject({ status: 77, stderr: expect.stringContaining('does not know this key') });
});

test('it says so when forge is down, and ends with 69', async () => {
  expect(await outcomeOf(start('about', { socket: join(folder, 'nobody.sock') }))).toMatchObject({
    status: 69,
    stderr: expect.stringMatching(/^ ! {5}forge is not running.*\n ! {5}try again in a moment.*\n$/),
  });
});

test('its end aborts the session', async () => {
  const child = start('hang');
  await once(child.stderr, 'data');
  child.kill('SIGKILL');
  await vi.waitFor(() => expect(seen.running).toBe(0), { timeout: 2_000 });
});

test('it starts without any package', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', "import { registerHooks } from 'node:module'; registerHooks({ resolve: (name, context, next) => { const found = next(name, context); if (found.url.includes('node_modules')) throw new Error(found.url); return found; } }); process.argv.splice(1, 0, 'x'); await import(process.argv.at(-1));", '--', 'one', relayPath]);
  expect((await outcomeOf(child)).stderr).not.toContain('node_modules');
});
