/**
 * forge's SSH beside the machine's sshd, on a free port, in turn: one command with the connection included, the logs' first
 * byte, and a large push of data that cannot be compressed through the same `git receive-pack` (a fresh commit each round, to a
 * branch that does not deploy, so that both only receive). While it comes, the resident memory of `forge serve` is watched.
 *
 *   node bench/ssh.ts [--rounds 15] [--pushes 5] [--megabytes 200]
 *
 * Needs root or the user whose sshd this would be, and /usr/sbin/sshd.
 */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { every } from '../src/wait.ts';
import { initArgs, receivePackArgs } from '../src/git/git-args.ts';
import { appFolder, bootForge, dockerfileApp, type RunningForge } from '../test/support/forge.ts';
import { startPlainSshd, type PlainSshd } from './plain-sshd.ts';
import { inTurn, line, median, printMachine, residentMegabytes, run, summary, timed, verdict } from './support.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '15' }, pushes: { type: 'string', default: '5' }, megabytes: { type: 'string', default: '200' } } });
const app = 'bench';
const branch = 'data';
const megabyte = 1024 * 1024;
const server = `console.log('listening'); require('node:http').createServer((_, response) => response.end('one')).listen(process.env.PORT);`;

printMachine('SSH: forge beside sshd');
const forge = await bootForge({ hasOwnProxy: true });
const sshd = await startPlainSshd(forge.keyPath);
const clientFlags = ['-F', '/dev/null', '-i', forge.keyPath, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'];
try {
  const folder = await appFolder(dockerfileApp('one', server));
  const { exitCode, all } = await forge.push(folder, app);
  if (exitCode !== 0) throw new Error(all);
  await commands(forge, sshd);
  if (Number(flags.pushes) > 0) await largePushes(folder, forge, sshd);
} finally {
  await forge.remove();
  await sshd.close();
}

async function commands({ ssh }: RunningForge, { port, user }: PlainSshd): Promise<void> {
  const words = (target: string, at: number, ...command: string[]) => [...clientFlags, '-p', String(at), target, ...command];
  const results = await inTurn(Number(flags.rounds), {
    'sshd, true': () => timed(() => run('ssh', words(`${user}@127.0.0.1`, port, 'true'))),
    'forge, apps:list': () => timed(() => run('ssh', words('forge@127.0.0.1', ssh, 'apps:list'))),
    'forge, apps:logs, first byte': () => firstByte(),
  });
  for (const [name, values] of Object.entries(results)) line(name, summary(values, 'ms'));
  verdict('apps:list / true', median(results['forge, apps:list']) / median(results['sshd, true']), 1.5, '');
  verdict('logs, first byte', median(results['forge, apps:logs, first byte']), 200, ' ms');
}

async function firstByte(): Promise<number> {
  const startedAt = performance.now();
  const child = forge.ssh$(['apps:logs', app]);
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) });
  const ms = performance.now() - startedAt;
  await child;
  return ms;
}

async function largePushes(folder: string, { pid }: RunningForge, { port, user, folder: sshdFolder }: PlainSshd): Promise<void> {
  const size = Number(flags.megabytes);
  const repository = join(sshdFolder, 'bench.git');
  const hooksPath = join(sshdFolder, 'no-hooks');
  await mkdir(hooksPath);
  await run('git', initArgs(repository));
  // The client's own work is not what is looked at.
  for (const [key, value] of [['core.compression', '0'], ['core.bigFileThreshold', '1m'], ['gc.auto', '0']] as const) await forge.git$(folder, ['config', key, value]);
  const receivePack = ['git', ...receivePackArgs({ repositoryPath: repository, hooksPath, mode: 'full', maxPackBytes: 4e9 }).slice(0, -2)].join(' ');
  const memory = watchMemory(pid);
  const push = async (remote: string, ...words: string[]): Promise<number> => await timed(async () => {
    const { exitCode, all } = await forge.git$(folder, ['push', '-q', ...words, remote, `HEAD:refs/heads/${branch}`]);
    if (exitCode !== 0) throw new Error(all);
  });
  const growth: number[] = [];
  let commits = 0;
  const fresh = async () => {
    // Every second push, so that both send the same commit.
    if (commits++ % 2 === 1) return;
    await pipeline(Readable.from((function* () { for (let written = 0; written < size; written++) yield randomBytes(megabyte); })()), createWriteStream(join(folder, 'data.bin')));
    await forge.commit(folder);
  };
  const results = await inTurn(Number(flags.pushes), {
    sshd: async () => (await fresh(), await push(`ssh://${user}@127.0.0.1:${port}${repository}`, `--receive-pack=${receivePack}`)),
    forge: async () => {
      await fresh();
      const before = residentMegabytes(pid);
      memory.restart();
      const ms = await push(forge.remote(app));
      growth.push(memory.highest() - before);
      return ms;
    },
  });
  memory.stop();
  for (const [name, values] of Object.entries(results)) line(`${name}, push of ${size} MB`, `${summary(values, 'ms')}, ${summary(values.map((ms) => size / (ms / 1000)), 'MB/s')}`);
  const ratio = median(results.sshd.map((ms, index) => ms / (results.forge[index] ?? NaN)));
  line('throughput, forge / sshd', `${ratio.toFixed(2)}, target ≥ 0.7: ${ratio >= 0.7 ? 'held' : 'MISSED'}`);
  line('forge serve grows by, each push', growth.map((value) => value.toFixed(0)).join(' ') + ' MB');
  verdict('highest over before the first push', memory.peak - memory.first, 64, ' MB');
}

/** Looks at the resident memory many times a second. */
function watchMemory(pid: number) {
  const first = residentMegabytes(pid);
  const state = { first, peak: first, sincePush: first };
  const timer = every(20, async () => {
    const now = residentMegabytes(pid);
    state.sincePush = Math.max(state.sincePush, now);
    state.peak = Math.max(state.peak, now);
  }, () => undefined);
  return {
    first,
    get peak() {
      return state.peak;
    },
    restart: () => void (state.sincePush = 0),
    highest: () => state.sincePush,
    stop: () => timer[Symbol.dispose](),
  };
}
