/** A real server on a free port, real keys made by ssh-keygen, and the real OpenSSH client. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Actor, HandleSession } from '../../src/domain.ts';
import { createLog } from '../../src/log.ts';
import type { SshLimits } from '../../src/ssh/limits.ts';
import { createSshServer, type SshServer } from '../../src/ssh/server.ts';

export interface TestKey {
  readonly path: string;
  readonly type: string;
  readonly blob: string;
  readonly fingerprint: string;
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface TestServer extends AsyncDisposable {
  readonly server: SshServer;
  readonly folder: string;
  readonly keys: Map<string, Actor>;
  makeKey(name: string, args?: readonly string[]): TestKey;
  /** Registers a key under its name. */
  allow(key: TestKey, name: string): void;
  /** Arguments of an ssh client with this key. */
  sshArgs(key: TestKey, options?: readonly string[]): string[];
}

export const silentLog = createLog('silent', 'test');

export const actor = (name: string): Actor => ({ name, via: 'key', isAdmin: false, permission: 'deploy', apps: 'all' });

export async function startServer(handleSession: HandleSession, limits: Partial<SshLimits> = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'forge-ssh-'));
  const keys = new Map<string, Actor>();
  const server = await createSshServer({
    hostKeyPath: join(folder, 'ssh', 'host_ed25519'),
    bind: '127.0.0.1',
    port: 0,
    findKey: (blob) => keys.get(blob),
    handleSession,
    log: silentLog,
    limits,
  });
  return {
    server,
    folder,
    keys,
    makeKey: (name, args) => makeKey(folder, name, args),
    allow: (key, name) => void keys.set(key.blob, actor(name)),
    sshArgs: (key, options = []) => [...clientOptions(server.port, key), ...options, 'anyone@127.0.0.1'],
    [Symbol.asyncDispose]: async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function makeKey(folder: string, name: string, args: readonly string[] = ['-t', 'ed25519']): TestKey {
  const path = join(folder, name);
  const made = spawnSync('ssh-keygen', ['-q', '-N', '', '-C', name, '-f', path, ...args], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  const [type = '', blob = ''] = readFileSync(`${path}.pub`, 'utf8').split(' ');
  const [, fingerprint = ''] = spawnSync('ssh-keygen', ['-lf', `${path}.pub`], { encoding: 'utf8' }).stdout.split(' ');
  return { path, type, blob, fingerprint };
}

export const clientOptions = (port: number, key: TestKey): string[] => [
  ...['-F', '/dev/null', '-p', String(port), '-i', key.path],
  ...['BatchMode=yes', 'IdentitiesOnly=yes', 'IdentityAgent=none', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'].flatMap((option) => ['-o', option]),
];

/** Runs ssh to its end; `input` is its stdin. */
export async function runSsh(args: readonly string[], input: string | Buffer = '', env: NodeJS.ProcessEnv = process.env): Promise<Outcome> {
  const child = startSsh(args, env);
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return await outcomeOf(child);
}

export const startSsh = (args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcessWithoutNullStreams => spawn('ssh', args, { env });

export async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}
