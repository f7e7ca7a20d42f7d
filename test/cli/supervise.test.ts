/** The real supervisor over small real programs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { rotateLog, startTimeOf } from '../../src/cli/supervised-process.ts';

const entry = resolve(import.meta.dirname, '../../src/cli/main.ts');
/** Writes its pid and ends at SIGTERM. */
const program = "console.log('started ' + process.pid); process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000);";

interface World {
  readonly folder: string;
  readonly pidFile: string;
  /** Writes the plan: generation by program name. */
  plan(generations: Readonly<Record<string, string>>, script?: string): void;
  start(): ChildProcess;
  /** Pids that the program has had, in order. */
  pids(name: string): number[];
  log(name: string): string;
}

async function openWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'forge-supervise-'));
  const children: ChildProcess[] = [];
  const names = new Set<string>();
  const pidFile = join(folder, 'supervise.pid');
  const log = (name: string): string => {
    try {
      return readFileSync(join(folder, 'logs', `${name}.log`), 'utf8');
    } catch {
      return '';
    }
  };
  const pids = (name: string): number[] => [...log(name).matchAll(/^started (\d+)$/gm)].map((match) => Number(match[1]));
  onTestFinished(async () => {
    for (const child of children) child.kill('SIGKILL');
    for (const name of names) for (const pid of pids(name)) if (startTimeOf(pid) !== undefined) process.kill(pid, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  return {
    folder,
    pidFile,
    log,
    pids,
    plan(generations, script = program) {
      const programs = Object.entries(generations).map(([name, generation]) => ({ name, argv: [process.execPath, '-e', script], env: { PATH: '/usr/bin:/bin' }, generation }));
      for (const { name } of programs) names.add(name);
      writeFileSync(join(folder, 'plan.json'), JSON.stringify({ pidFile, logDirectory: join(folder, 'logs'), programs }));
    },
    start() {
      const child = spawn(process.execPath, [entry, 'supervise', join(folder, 'plan.json')], { stdio: ['ignore', 'ignore', 'pipe'] });
      children.push(child);
      return child;
    },
  };
}

const until = async (check: () => boolean): Promise<void> => void (await expect.poll(check, { timeout: 15_000, interval: 20 }).toBe(true));
const runs = (pid: number | undefined): boolean => pid !== undefined && startTimeOf(pid) !== undefined;

test('a program that is killed is started again, the other is left alone', async () => {
  const world = await openWorld();
  world.plan({ proxy: 'a', serve: 'a' });
  world.start();
  await until(() => world.pids('proxy').length === 1 && world.pids('serve').length === 1);
  process.kill(world.pids('serve')[0] as number, 'SIGKILL');
  await until(() => world.pids('serve').length === 2);
  expect(world.pids('proxy')).toHaveLength(1);
  expect(runs(world.pids('proxy')[0])).toBe(true);
});

test('a new plan restarts only the program whose generation has changed', async () => {
  const world = await openWorld();
  world.plan({ proxy: 'a', serve: 'a' });
  const supervisor = world.start();
  await until(() => world.pids('proxy').length === 1 && world.pids('serve').length === 1);
  world.plan({ proxy: 'a', serve: 'b' });
  supervisor.kill('SIGHUP');
  await until(() => world.pids('serve').length === 2);
  expect(runs(world.pids('serve')[0])).toBe(false);
  expect(world.pids('proxy')).toHaveLength(1);
});

test('programs outlive a supervisor that was killed, and the next one takes them over', async () => {
  const world = await openWorld();
  world.plan({ proxy: 'a', serve: 'a' });
  const first = world.start();
  await until(() => world.pids('proxy').length === 1 && world.pids('serve').length === 1);
  first.kill('SIGKILL');
  await once(first, 'exit');
  world.plan({ proxy: 'a', serve: 'b' });
  const second = world.start();
  await until(() => world.pids('serve').length === 2);
  expect(world.pids('proxy')).toHaveLength(1);
  expect(runs(world.pids('proxy')[0])).toBe(true);

  process.kill(world.pids('proxy')[0] as number, 'SIGKILL');
  await until(() => world.pids('proxy').length === 2);
  second.kill('SIGTERM');
  await once(second, 'exit');
  expect([...world.pids('proxy'), ...world.pids('serve')].filter(runs)).toEqual([]);
});

test('SIGUSR2 ends the supervisor alone', async () => {
  const world = await openWorld();
  world.plan({ proxy: 'a' });
  const first = world.start();
  await until(() => world.pids('proxy').length === 1);
  first.kill('SIGUSR2');
  await once(first, 'exit');
  expect(runs(world.pids('proxy')[0])).toBe(true);
  expect(await stat(world.pidFile).catch(() => undefined)).toBeUndefined();
});

test('SIGTERM stops the programs', async () => {
  const world = await openWorld();
  world.plan({ proxy: 'a', serve: 'a' });
  const supervisor = world.start();
  await until(() => world.pids('proxy').length === 1 && world.pids('serve').length === 1);
  supervisor.kill('SIGTERM');
  const [status] = await once(supervisor, 'exit');
  expect(status).toBe(0);
  expect([...world.pids('proxy'), ...world.pids('serve')].filter(runs)).toEqual([]);
});

test('a second supervisor of the same plan is refused, a pid file of another process is not believed', async () => {
  const world = await openWorld();
  world.plan({ proxy: 'a' });
  // This process lives, but is not the one that the file tells of.
  await writeFile(world.pidFile, `${process.pid} 1\n`);
  await writeFile(join(world.folder, 'forge-proxy.pid.json'), JSON.stringify({ pid: process.pid, startTime: '1', generation: 'a' }));
  world.start();
  await until(() => world.pids('proxy').length === 1);

  const second = world.start();
  let said = '';
  second.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [status] = await once(second, 'close');
  expect(status).not.toBe(0);
  expect(said).toMatch(/process \d+ supervises this plan already/);
});

test('a program that ends at once is started again with growing pauses, and its last words are in its log', async () => {
  const world = await openWorld();
  world.plan({ proxy: 'a' }, "console.log('started ' + process.pid); console.error('port 80 is in use'); process.exit(3)");
  world.start();
  await until(() => world.pids('proxy').length === 3);
  expect(world.log('proxy')).toContain('port 80 is in use');
});

test('a log that has grown large keeps one older piece', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'forge-log-'));
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'serve.log');
  await writeFile(path, 'x'.repeat(100));
  await rotateLog(path, 100);
  expect((await stat(path)).size).toBe(100);
  await rotateLog(path, 99);
  expect((await stat(path)).size).toBe(0);
  expect(await readFile(`${path}.1`, 'utf8')).toHaveLength(100);
});
