/**
 * CPU time per request of forge's proxy beside nginx, haproxy and caddy: the same upstream, 1 KB responses, keep-alive
 * on both sides, one worker each, pinned to the same core, interleaved. Prints medians, spread and the ratio to nginx.
 *
 *   node bench/proxy.ts [--rounds 5] [--seconds 3] [--only nginx,forge] [--cpu-prof DIR]
 *
 * Needs nginx and wrk; haproxy and caddy where they are installed.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { delay } from '../src/wait.ts';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'nginx,haproxy,caddy,forge' },
    'cpu-prof': { type: 'string' },
  },
});
const [proxyCore, loadCore] = ['0', '1'];
const microsecondsPerTick = 10_000;
const warmUpRequests = 60_000;
const directory = mkdtempSync(join(tmpdir(), 'forge-bench-'));
// nginx serves as a user of its own.
chmodSync(directory, 0o755);
const upstreamPort = 9801;

interface Contender {
  readonly name: string;
  readonly port: number;
  /** Writes its configuration; gives the command in the foreground. */
  readonly command: () => readonly string[];
}

const nginxPaths = (folder: string): string =>
  ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');

function nginx(name: string, server: string): readonly string[] {
  const folder = join(directory, name);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'nginx.conf');
  writeFileSync(path, `worker_processes 1; daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; ${nginxPaths(folder)} ${server} }`);
  return ['nginx', '-c', path];
}

function upstream(): readonly string[] {
  const root = join(directory, 'root');
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, '1k.html'), 'x'.repeat(1024));
  return nginx('upstream', `server { listen 127.0.0.1:${upstreamPort}; root ${root}; open_file_cache max=10; }`);
}

const contenders: readonly Contender[] = [
  {
    name: 'nginx',
    port: 9811,
    command: () => nginx('nginx', `upstream app { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000000; }
server { listen 127.0.0.1:9811; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Request-Id $request_id; } }`),
  },
  {
    name: 'haproxy',
    port: 9812,
    command() {
      const path = join(directory, 'haproxy.cfg');
      writeFileSync(path, `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option forwardfor
frontend front
  bind 127.0.0.1:9812
  default_backend back
backend back
  server app 127.0.0.1:${upstreamPort}
`);
      return ['haproxy', '-db', '-f', path];
    },
  },
  {
    name: 'caddy',
    port: 9813,
    command() {
      const path = join(directory, 'Caddyfile');
      writeFileSync(path, `{\n  admin off\n  auto_https off\n}\nhttp://127.0.0.1:9813 {\n  reverse_proxy 127.0.0.1:${upstreamPort}\n}\n`);
      return ['env', 'GOMAXPROCS=1', `HOME=${directory}`, 'caddy', 'run', '--adapter', 'caddyfile', '--config', path];
    },
  },
  {
    name: 'forge',
    port: 9814,
    command() {
      const stateDir = join(directory, 'forge');
      mkdirSync(stateDir, { recursive: true });
      writeFileSync(join(stateDir, 'routes.json'), JSON.stringify({
        version: 1,
        controlHost: 'forge.localhost',
        controlSocket: join(stateDir, 'none.sock'),
        routes: [{ host: '127.0.0.1', app: 'bench', targets: [{ id: 'web.1@v1', address: '127.0.0.1', port: upstreamPort }] }],
      }));
      const options = { stateDir, bind: '127.0.0.1', http: 9814, workers: 1, headerTimeoutMs: 15_000, idleTimeoutMs: 75_000, responseTimeoutMs: 60_000, maxHeadBytes: 32_768, logLevel: 'error' };
      const profile = flags['cpu-prof'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags['cpu-prof']}`];
      return [process.execPath, ...profile, fileURLToPath(import.meta.resolve('../src/proxy/start.ts')), JSON.stringify(options)];
    },
  },
];

const children: ChildProcess[] = [];

async function start(core: string, command: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn('taskset', ['-c', core, ...command], { stdio: ['ignore', 'ignore', 'ignore'] });
  children.push(child);
  const deadline = AbortSignal.timeout(10_000);
  while (!(await answers(port))) {
    if (deadline.aborted) throw new Error(`${command[0]} did not listen on ${port}`);
    await delay(50);
  }
  return child;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });

/** The process and everything below it. */
function familyOf(pid: number): number[] {
  const below = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  return [pid, ...below.flatMap(familyOf)];
}

const cpuMicroseconds = (pid: number): number =>
  familyOf(pid).reduce((sum, each) => {
    const fields = readFileSync(`/proc/${each}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick;
  }, 0);

interface Sample {
  readonly perSecond: number;
  readonly microseconds: number;
}

function measure(pid: number, port: number, seconds: string): Sample {
  const before = cpuMicroseconds(pid);
  const { stdout } = spawnSync('taskset', ['-c', loadCore, 'wrk', '-c64', '-t1', `-d${seconds}`, `http://127.0.0.1:${port}/1k.html`], { encoding: 'utf8' });
  const used = cpuMicroseconds(pid) - before;
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(stdout);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return { perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]), microseconds: used / requests };
}

/** Until compilers and caches have settled: by requests, not by time, as a busy machine makes few of them. */
function warmUp(pid: number, port: number): void {
  for (let requests = 0, rounds = 0; requests < warmUpRequests && rounds < 10; rounds += 1) requests += measure(pid, port, '2').perSecond * 2;
}

const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? NaN;
const spread = (values: readonly number[], digits: number): string => `${(sorted(values)[0] ?? NaN).toFixed(digits)}–${(sorted(values).at(-1) ?? NaN).toFixed(digits)}`;

try {
  await start(loadCore, upstream(), upstreamPort);
  const wanted = flags.only.split(',');
  const running: { readonly name: string; readonly port: number; readonly pid: number; readonly samples: Sample[] }[] = [];
  for (const { name, port, command } of contenders) {
    const words = command();
    const program = words.find((word) => word === name) ?? words[0] ?? '';
    if (!wanted.includes(name) || spawnSync('which', [program]).status !== 0) continue;
    const child = await start(proxyCore, words, port);
    running.push({ name, port, pid: child.pid as number, samples: [] });
  }
  for (const { pid, port } of running) warmUp(pid, port);
  for (let round = 0; round < Number(flags.rounds); round += 1) {
    for (const { pid, port, samples } of running) samples.push(measure(pid, port, flags.seconds));
  }
  const baseline = median(running[0]?.samples.map((sample) => sample.microseconds) ?? []);
  const base = running[0]?.name ?? '';
  console.log(`| proxy | req/s | spread | CPU µs/request | spread | × ${base} | PSS MB |\n|---|---|---|---|---|---|---|`);
  for (const { name, pid, samples } of running) {
    const [rates, costs] = [samples.map((sample) => sample.perSecond), samples.map((sample) => sample.microseconds)];
    const pss = familyOf(pid).reduce((sum, each) => sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, 'utf8'))?.[1]), 0) / 1024;
    console.log(`| ${name} | ${median(rates).toFixed(0)} | ${spread(rates, 0)} | ${median(costs).toFixed(1)} | ${spread(costs, 1)} | ${(median(costs) / baseline).toFixed(2)} | ${pss.toFixed(0)} |`);
  }
} finally {
  for (const child of children.toReversed()) {
    if (child.exitCode === null && child.kill('SIGTERM')) await new Promise((resolve) => child.once('exit', resolve));
  }
  rmSync(directory, { recursive: true, force: true });
}
