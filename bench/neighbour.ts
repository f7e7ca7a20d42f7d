/**
 * What an app's visitors notice while another app is built: latency at a steady rate, quiet and beside a Dockerfile build
 * that keeps every core busy.
 *
 *   node bench/neighbour.ts [--rounds 3] [--rate 200] [--seconds 6]
 *
 * As root `forge build-caps` has to have run, as bin/install does it.
 */
import { availableParallelism } from 'node:os';
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';
import { delay } from '../src/wait.ts';
import { appFolder, bootForge, dockerfileApp, until, writeFiles } from '../test/support/forge.ts';
import { line, median, printMachine, summary } from './support.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, rate: { type: 'string', default: '200' }, seconds: { type: 'string', default: '6' } } });
const seconds = Number(flags.seconds);
/** Busy on every core for longer than a measurement takes. */
const busy = `const { Worker, isMainThread } = require('node:worker_threads');
if (isMainThread) for (let core = 0; core < ${availableParallelism()}; core++) new Worker(__filename);
else for (const end = Date.now() + ${(seconds + 4) * 1000}; Date.now() < end;);
`;

printMachine(`latency of an app at ${flags.rate} requests/s while another one is built`);
const forge = await bootForge({ hasOwnProxy: true });
const agent = new Agent({ keepAlive: true });
try {
  const served = await appFolder(dockerfileApp('served'));
  await push(served, 'served');
  const built = await appFolder({});
  const [quiet, building]: [Sample[], Sample[]] = [[], []];
  for (let round = 0; round < Number(flags.rounds); round++) {
    quiet.push(await measure());
    const dockerfile = 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN node busy.js\nCMD ["node", "server.js"]\n';
    await writeFiles(built, { ...dockerfileApp('built'), Dockerfile: dockerfile, 'busy.js': busy, 'round.txt': String(process.hrtime.bigint()) });
    const pushing = push(built, 'built');
    await until('the build is busy', async () => (await forge.deployments('built').catch(() => []))[0]?.status === 'building');
    await delay(1_000);
    building.push(await measure());
    await pushing;
  }
  print('quiet', quiet);
  print('beside a build', building);
  line('p99 beside a build / quiet', (median(building.map(({ p99 }) => p99)) / median(quiet.map(({ p99 }) => p99))).toFixed(2));
} finally {
  agent.destroy();
  await forge.remove();
}

async function push(folder: string, app: string): Promise<void> {
  const { exitCode, all } = await forge.push(folder, app);
  if (exitCode !== 0) throw new Error(all);
}

interface Sample {
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

/** Milliseconds of each request, asked at the rate whether earlier ones were answered or not. */
async function measure(): Promise<Sample> {
  const times: Promise<number | undefined>[] = [];
  const startedAt = performance.now();
  while (performance.now() - startedAt < seconds * 1000) {
    while (times.length < ((performance.now() - startedAt) / 1000) * Number(flags.rate)) times.push(ask());
    await delay(1);
  }
  const all = await Promise.all(times);
  const good = all.filter((ms) => ms !== undefined).sort((a, b) => a - b);
  const at = (part: number): number => good[Math.floor(good.length * part)] ?? Infinity;
  return { p50: at(0.5), p99: at(0.99), failed: all.length - good.length };
}

async function ask(): Promise<number | undefined> {
  const startedAt = performance.now();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asked = request({ host: '127.0.0.1', port: forge.http, headers: { host: `served.localhost:${forge.http}` }, agent, timeout: 10_000 }, (response) => {
    response.resume().on('end', () => resolve(response.statusCode === 200)).on('error', () => resolve(false));
  });
  asked.on('error', () => resolve(false)).on('timeout', () => asked.destroy(new Error('no answer')));
  asked.end();
  return (await promise) ? performance.now() - startedAt : undefined;
}

function print(name: string, samples: readonly Sample[]): void {
  const failed = samples.reduce((sum, sample) => sum + sample.failed, 0);
  line(name, `p50 ${summary(samples.map(({ p50 }) => p50), 'ms')}, p99 ${summary(samples.map(({ p99 }) => p99), 'ms')}, ${failed} failed`);
}
