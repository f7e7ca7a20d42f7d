/** A Docker Engine for one test, which may be killed without anybody else noticing. Needs root. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { until } from './forge.ts';
import { endProcess } from './processes.ts';

export interface PrivateEngine {
  readonly socketPath: string;
  /** What the command prints. */
  docker(...words: readonly string[]): Promise<string>;
  /** SIGKILL to the engine and everything that it started, as when the machine takes it. */
  kill(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Starts it with these images of the machine's engine. It has a bridge of its own: told to have none, an engine deletes
 * docker0, which the machine's engine needs.
 */
export async function startPrivateEngine(images: readonly string[]): Promise<PrivateEngine> {
  const home = await mkdtemp(join(tmpdir(), 'forge-engine-'));
  const socketPath = join(home, 'docker.sock');
  const docker = async (...words: readonly string[]): Promise<string> => (await execa('docker', ['-H', `unix://${socketPath}`, ...words])).stdout;
  let daemon: ResultPromise;
  const bridge = `ft${randomBytes(4).toString('hex')}`;
  await execa('ip', ['link', 'add', 'name', bridge, 'type', 'bridge']);
  await execa('ip', ['addr', 'add', '10.214.0.1/24', 'dev', bridge]);
  await execa('ip', ['link', 'set', bridge, 'up']);

  const start = async (): Promise<void> => {
    // Whoever has these numbers now is not its containerd.
    for (const file of ['pid', 'exec/containerd/containerd.pid']) await rm(join(home, file), { force: true });
    const flags = ['--data-root', join(home, 'root'), '--exec-root', join(home, 'exec'), '-H', `unix://${socketPath}`, '-p', join(home, 'pid'), '--bridge', bridge, '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
    const log = openSync(join(home, 'log'), 'a');
    daemon = execa('dockerd', flags, { stdin: 'ignore', stdout: log as never, stderr: log as never, reject: false, buffer: false }) as unknown as ResultPromise;
    await until('the private engine answers', async () => (await execa('docker', ['-H', `unix://${socketPath}`, 'version'], { reject: false })).exitCode === 0, 60_000);
  };
  const kill = async (): Promise<void> => {
    // Its containerd, and with that the shims and their containers.
    const started = [Number(await readFile(join(home, 'exec/containerd/containerd.pid'), 'utf8').catch(() => '0')), ...(await shimsOf(home))];
    daemon.kill('SIGKILL');
    await daemon;
    for (const pid of started) if (pid > 0) endProcess(pid, 'SIGKILL');
    await until('its processes are gone', async () => (await shimsOf(home)).length === 0);
  };
  await start();
  for (const image of images) {
    const save = execa('docker', ['save', image], { encoding: 'buffer', maxBuffer: 4 * 1024 ** 3, buffer: false });
    await save.pipe('docker', ['-H', `unix://${socketPath}`, 'load']);
  }
  return {
    socketPath,
    docker,
    kill,
    start,
    remove: async () => {
      if ((await execa('docker', ['-H', `unix://${socketPath}`, 'version'], { reject: false })).exitCode !== 0) await start();
      const ids = (await docker('ps', '-aq')).split('\n').filter(Boolean);
      if (ids.length > 0) await docker('rm', '-f', ...ids);
      for (const network of (await docker('network', 'ls', '-q', '--filter', 'label=forge.data')).split('\n').filter(Boolean)) await docker('network', 'rm', network);
      daemon.kill('SIGTERM');
      await daemon;
      await execa('ip', ['link', 'del', bridge]);
      // The engine mounts its own folder, so that nothing in it shows elsewhere.
      await execa('umount', ['--recursive', join(home, 'root')], { reject: false });
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Processes that the engine's containerd started for containers. */
async function shimsOf(home: string): Promise<readonly number[]> {
  const { stdout } = await execa('ps', ['-eo', 'pid,args']);
  return stdout.split('\n').filter((line) => line.includes('containerd-shim') && line.includes(home)).map((line) => Number(line.trim().split(/\s+/)[0]));
}
