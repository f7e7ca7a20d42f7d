/** What the benchmarks share: rounds in turn, medians with spread, CPU and memory of processes as the kernel counts them. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { request } from 'node:http';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { delay } from '../src/wait.ts';

const ticksPerSecond = 100;
const root = join(import.meta.dirname, '..');

/** First line of every benchmark: what it ran on, and whether something else ran beside it. */
export function printMachine(what: string): void {
  if (!existsSync(join(root, 'dist/cli/main.js'))) throw new Error('compile first: npm run build');
  const load = loadavg()[0] ?? 0;
  const cores = availableParallelism();
  console.log(`${what}\n${cores} cores, load ${load.toFixed(1)}${load > cores / 2 ? ' (NOT idle: trust ratios, not times)' : ''}, Node ${process.version}`);
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
};

/** `median (least–most)` with a unit. */
export function summary(values: readonly number[], unit: string, digits = 0): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} ${unit} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

export const line = (name: string, text: string): void => console.log(`  ${name.padEnd(34)} ${text}`);

/** A figure beside what it is held against. */
export function verdict(name: string, value: number, limit: number, unit: string): void {
  line(name, `${value.toFixed(2)}${unit}, target ≤ ${limit}${unit}: ${value <= limit ? 'held' : 'MISSED'}`);
}

/** Runs every contender once a round, the first one changing, after one round that does not count. */
export async function inTurn<T, K extends string>(rounds: number, contenders: Readonly<Record<K, () => Promise<T>>>): Promise<Record<K, T[]>> {
  const names = Object.keys(contenders) as K[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, T[]>;
  for (let round = 0; round <= rounds; round++) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) {
      const result = await contenders[name]();
      if (round > 0) results[name].push(result);
    }
  }
  return results;
}

export async function timed(task: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await task();
  return performance.now() - startedAt;
}

/** Runs a command to its end; throws with its output when it fails. */
export async function run(file: string, args: readonly string[], options: { readonly env?: Record<string, string>; readonly cwd?: string; readonly input?: string } = {}): Promise<string> {
  const { stdout } = await execa(file, args, { timeout: 300_000, ...options });
  return stdout;
}

/** Ids of the processes whose command line has this word in it. */
export function processesWith(word: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((pid) => pid !== process.pid && readOr(`/proc/${pid}/cmdline`).split('\0').some((part) => part.includes(word)));
}

/** CPU seconds of the processes and of their children that have ended: utime + stime + cutime + cstime of /proc/<pid>/stat. */
export function cpuSeconds(pids: readonly (number | 'self')[]): number {
  const ticks = pids.map((pid) => {
    const fields = readOr(`/proc/${pid}/stat`).replace(/^.*\) /s, '').split(' ');
    return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0);
  });
  return ticks.reduce((sum, value) => sum + value, 0) / ticksPerSecond;
}

/** CPU seconds of the ended children of this process: the commands that the benchmark ran. */
export function childrenSeconds(): number {
  const fields = readOr('/proc/self/stat').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) / ticksPerSecond;
}

const megabytes = (pid: number, file: string, key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readOr(`/proc/${pid}/${file}`))?.[1] ?? 0) / 1024;

/** Proportional set size: shared pages are divided among those who share them. */
export const pssMegabytes = (pid: number): number => megabytes(pid, 'smaps_rollup', 'Pss');
export const residentMegabytes = (pid: number): number => megabytes(pid, 'status', 'VmRSS');

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export interface Target {
  readonly address: string;
  readonly port: number;
  readonly host: string;
  readonly path?: string;
}

/** One request on a connection of its own: the body of a 200, `undefined` for anything else. */
export async function get({ address, port, host, path = '/' }: Target): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const asked = request({ host: address, port, path, headers: { host }, agent: false, timeout: 5000 }, (response) => {
    const parts: Buffer[] = [];
    response.on('data', (part: Buffer) => parts.push(part)).on('error', () => resolve(undefined));
    response.on('end', () => resolve(response.statusCode === 200 ? Buffer.concat(parts).toString() : undefined));
  });
  asked.on('error', () => resolve(undefined)).on('timeout', () => asked.destroy());
  asked.end();
  return await promise;
}

/** Asks until it answers with this body. */
export async function untilAnswers(target: Target, body: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while ((await get(target)) !== body) {
    if (performance.now() > deadline) throw new Error(`no answer ${JSON.stringify(body)} within 30 s`);
    await delay(2);
  }
}
