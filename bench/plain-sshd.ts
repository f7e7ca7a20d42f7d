/** The machine's own sshd program on a free port, for this process's user and one key: what forge's SSH is held against. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { delay } from '../src/wait.ts';
import { run } from './support.ts';

export interface PlainSshd {
  readonly port: number;
  readonly user: string;
  readonly folder: string;
  close(): Promise<void>;
}

/** `keyPath`: the private key that it lets in; the public one is beside it. */
export async function startPlainSshd(keyPath: string): Promise<PlainSshd> {
  const folder = await mkdtemp(join(tmpdir(), 'forge-bench-sshd-'));
  const port = await freePort();
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'host')]);
  await copyFile(`${keyPath}.pub`, join(folder, 'authorized_keys'));
  await chmod(join(folder, 'authorized_keys'), 0o600);
  await mkdir('/run/sshd', { recursive: true });
  const settings = [`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${join(folder, 'host')}`, `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`, 'PidFile none', 'UsePAM no', 'StrictModes no', 'PermitRootLogin yes'];
  await writeFile(join(folder, 'sshd_config'), `${settings.join('\n')}\n`);
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  sshd.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  while (!(await isOpen(port))) {
    if (sshd.exitCode !== null) throw new Error(`sshd ended: ${said}`);
    await delay(20);
  }
  return {
    port,
    user: userInfo().username,
    folder,
    async close() {
      sshd.kill();
      if (sshd.exitCode === null) await once(sshd, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'data');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
