/** The machine's sshd program on a free port with a configuration, a host key and a login account of its own. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Actor, HandleSession } from '../../src/domain.ts';
import { listenControl } from '../../src/control/server.ts';
import { relayCommand, writeAuthorizedKeys } from '../../src/ssh/authorized-keys.ts';
import { createDoor, type Door } from '../../src/ssh/door.ts';
import { sshdConfig } from '../../src/ssh/sshd-config.ts';
import { actor, clientOptions, makeKey, silentLog, type TestKey } from '../ssh/start-server.ts';

const relayPath = fileURLToPath(new URL('../../src/relay/relay.ts', import.meta.url));

export interface TestSshd extends AsyncDisposable {
  readonly folder: string;
  readonly configPath: string;
  readonly door: Door;
  readonly keys: Map<string, Actor>;
  makeKey(name: string): TestKey;
  /** Writes the file that sshd reads. */
  allow(keys: Readonly<Record<string, TestKey>>): Promise<void>;
  openDoor(): Promise<void>;
  closeDoor(): Promise<void>;
  sshArgs(key: TestKey, options?: readonly string[]): string[];
  log(): string;
}

/** Needs root: it makes a login account, and removes it at the end. */
export async function startSshd(handleSession: HandleSession): Promise<TestSshd> {
  const folder = mkdtempSync(join(tmpdir(), 'forge-sshd-'));
  chmodSync(folder, 0o711);
  const user = createLogin();
  const socketPath = join(folder, 'door.sock');
  const keysFile = join(folder, 'authorized_keys');
  const keys = new Map<string, Actor>();
  const door = createDoor({ findKeyByFingerprint: (fingerprint) => keys.get(fingerprint), handleSession, log: silentLog });
  let control: Awaited<ReturnType<typeof listenControl>> | undefined;
  const port = await freePort();
  makeKey(folder, 'host');
  const configPath = join(folder, 'sshd_config');
  writeFileSync(configPath, baseConfig(folder, port) + sshdConfig({ loginUser: user.name, keysFile, keysUser: 'root' }) + 'LogLevel VERBOSE\n');
  mkdirSync('/run/sshd', { recursive: true });
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', configPath]);
  let log = '';
  sshd.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await answers(port, sshd, () => log);
  return {
    folder,
    configPath,
    door,
    keys,
    makeKey: (name) => makeKey(folder, name),
    allow: async (named) => {
      for (const [name, key] of Object.entries(named)) keys.set(key.fingerprint, actor(name));
      await writeAuthorizedKeys(keysFile, Object.entries(named).map(([name, key]) => ({ name, ...key })), relayCommand(process.execPath, relayPath, socketPath));
    },
    openDoor: async () => {
      control = await listenControl({
        socketPath,
        mode: 0o660,
        accepts: ['door'],
        onConnection: async (connection) => {
          if (connection.hello.kind === 'door') await door.handle(connection.hello, connection);
        },
        log: silentLog,
      });
      chownSync(socketPath, 0, user.group);
    },
    closeDoor: async () => await control?.close(),
    sshArgs: (key, options = []) => [...clientOptions(port, key), ...options, `${user.name}@127.0.0.1`],
    log: () => log,
    [Symbol.asyncDispose]: async () => {
      await control?.close();
      await stop(sshd);
      user.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const baseConfig = (folder: string, port: number): string =>
  [`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${join(folder, 'host')}`, 'PidFile none', 'UsePAM no', 'AllowTcpForwarding yes', 'X11Forwarding yes', 'Subsystem sftp internal-sftp', ''].join('\n');

function createLogin() {
  const name = `forge-test-${process.pid % 100_000}`;
  // A password field of * lets nobody in by password, but the account is not locked.
  const made = spawnSync('useradd', ['--system', '--user-group', '--no-create-home', '--home-dir', '/', '--shell', '/bin/sh', '--password', '*', name], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  const group = Number(spawnSync('id', ['-g', name], { encoding: 'utf8' }).stdout);
  return { name, group, remove: () => void spawnSync('userdel', [name]) };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(port: number, sshd: ChildProcess, log: () => string): Promise<void> {
  for (;;) {
    if (sshd.exitCode !== null) throw new Error(`sshd ended: ${log()}`);
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('data', () => resolve(true)).on('error', () => resolve(false));
      socket.on('data', () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function stop(sshd: ChildProcess): Promise<void> {
  if (sshd.exitCode !== null) return;
  const ended = new Promise((resolve) => sshd.on('exit', resolve));
  sshd.kill();
  await ended;
}
