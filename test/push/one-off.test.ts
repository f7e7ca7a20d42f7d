/** Commands in an app's image and in its instances, beside its processes: detached ones, and a look into a live instance. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chattyApp } from '../support/chatty-app.ts';
import { bootForge, until, type RunningForge } from '../support/forge.ts';

interface Job {
  readonly name: string;
  readonly outcome?: string;
  readonly status?: number;
}

let forge: RunningForge;
let folder: string;
beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '2', stopTimeout: '2' } });
  folder = await chattyApp();
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => await forge.remove());

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
const ok = async (...words: string[]): Promise<string> => {
  const ended = await forge.ssh$(words.map(quoted));
  expect(ended).toMatchObject({ exitCode: 0 });
  return ended.stdout.trim();
};
const job = async (name: string): Promise<Job | undefined> => (await forge.json<Job[]>('run:list', 'hello')).find((one) => one.name === name);
const ended = async (name: string): Promise<Job> => await until(`${name} ends`, async () => {
  const found = await job(name);
  return found?.outcome === undefined ? undefined : found;
});
const logOf = async (name: string): Promise<string> => await ok('run:logs', 'hello', name);
const containers = async (): Promise<string[]> => {
  const id = readFileSync(join(forge.data, 'id'), 'utf8').trim();
  const ofJobs = ['--filter', `label=forge.data=${id}`, '--filter', 'label=forge.type=run'];
  return (await execa('docker', ['ps', '-aq', ...ofJobs])).stdout.split('\n').filter(Boolean);
};
const waiting = 'process.on("SIGTERM", () => { console.log("asked to end"); process.exit(0); }); console.log("began"); setInterval(() => {}, 1000);';

describe('run:detached', () => {
  it('prints a name, keeps words and variables, and its output and status are there afterwards', async () => {
    const script = 'console.log(JSON.stringify([process.argv.slice(1), process.env.EXTRA, process.env.DYNO, process.env.FORGE_APP])); console.error("to stderr"); process.exit(7)';
    const name = await ok('run:detached', '-e', 'EXTRA=a b', 'hello', 'node', '-e', script, 'two words', '$HOME');
    expect(name).toMatch(/^run\.[0-9a-f]{8}$/);
    expect(await ended(name)).toMatchObject({ outcome: 'failed', status: 7 });
    const log = await logOf(name);
    expect(log).toContain(`app[${name}]: ${JSON.stringify([['two words', '$HOME'], 'a b', name, 'hello'])}`);
    expect(log).toContain(`app[${name}]: to stderr`);
    expect(await ok('apps:logs', 'hello', '-p', name)).toContain('to stderr');
    await until('its container is gone', async () => (await containers()).length === 0);
  });

  it('goes on through kill -9 of forge, a start and a deploy; its log is whole and its end is known', async () => {
    const count = 'let n = 0; setInterval(() => { console.log("line " + ++n); if (n === 100) process.exit(5); }, 100)';
    const name = await ok('run:detached', 'hello', 'node', '-e', count);
    await until('it has begun', async () => (await logOf(name)).includes('line 3'));
    await forge.restart('SIGKILL');
    expect(await job(name)).toMatchObject({ name });
    expect((await job(name))?.outcome).toBeUndefined();
    expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
    expect(await ended(name)).toMatchObject({ outcome: 'failed', status: 5 });
    const lines = (await logOf(name)).match(/line \d+/g);
    expect(lines).toEqual(Array.from({ length: 100 }, (_, index) => `line ${index + 1}`));
  });

  it('whose time is over is stopped, also when forge was down then', async () => {
    const short = await ok('run:detached', '--ttl', '1', 'hello', 'node', '-e', waiting);
    expect(await ended(short)).toMatchObject({ outcome: 'timed-out' });
    const over = await ok('run:detached', '--ttl', '3', 'hello', 'sleep', '600');
    await forge.end('SIGKILL');
    const [container = ''] = await containers();
    await until('its time is over', async () => Date.now() - Date.parse((await execa('docker', ['inspect', '--format', '{{.Created}}', container])).stdout) > 4_000);
    await forge.begin();
    expect(await ended(over)).toMatchObject({ outcome: 'timed-out' });
    await until('their containers are gone', async () => (await containers()).length === 0);
  });

  it('is stopped with SIGTERM first', async () => {
    const name = await ok('run:detached', 'hello', 'node', '-e', waiting);
    await until('it has begun', async () => (await logOf(name)).includes('began'));
    expect(await ok('run:stop', 'hello', name)).toContain('was stopped (status 0)');
    expect(await logOf(name)).toContain('asked to end');
    expect((await forge.ssh$(['run:stop', 'hello', name])).exitCode).toBe(5);
  });

  it('says so when there is no such program or process type', async () => {
    const name = await ok('run:detached', 'hello', 'no-such-program');
    expect(await ended(name)).toMatchObject({ outcome: 'failed', status: 127 });
    expect((await forge.ssh$(['run:detached', '--type', 'nope', 'hello', 'true'])).stderr).toContain('its process types: web, worker');
  });

  it('goes with its app', async () => {
    expect(await forge.push(folder, 'gone')).toMatchObject({ exitCode: 0 });
    await ok('run:detached', 'gone', 'sleep', '600');
    expect((await containers()).length).toBe(1);
    expect((await forge.forge$(['apps:destroy', 'gone', '--confirm', 'gone'])).exitCode).toBe(0);
    expect(await containers()).toEqual([]);
  });
});

describe('ps:exec', () => {
  const processes = async (): Promise<string> => (await forge.ssh$(['ps:exec', 'hello', 'web.1', 'sh', '-c', quoted('cat /proc/[0-9]*/cmdline | tr "\\0" " "')])).stdout;

  it('runs in the live instance, sees its environment, and passes streams and status on', async () => {
    const script = 'console.log([process.env.DYNO, process.env.FORGE_APP].join(" ")); console.error("err"); process.exit(9)';
    const { exitCode, stdout, stderr } = await forge.ssh$(['ps:exec', 'hello', 'node', '-e', quoted(script)]);
    expect([exitCode, stdout, stderr]).toEqual([9, 'web.1 hello', 'err']);
    expect(await processes()).toContain('node server.js');
    expect((await forge.forge$(['enter', 'hello', 'web.1', 'sh', '-c', 'exit 11'])).exitCode).toBe(11);
    expect((await forge.ssh$(['ps:exec', 'hello', 'no-such-program'])).exitCode).toBeGreaterThan(125);
    expect((await forge.ssh$(['ps:exec', 'hello', 'worker.1'])).exitCode).toBe(4);
  });

  it('carries bytes both ways as they are', async () => {
    const bytes = randomBytes(3 * 1024 * 1024);
    const { stdout, exitCode } = await forge.ssh$(['ps:exec', 'hello', 'sha256sum'], { input: bytes });
    expect([exitCode, stdout.split(' ')[0]]).toEqual([0, createHash('sha256').update(bytes).digest('hex')]);
    const echoed = await forge.ssh$(['ps:exec', 'hello', 'sh', '-c', quoted('cat | base64 -w0')], { input: bytes });
    expect(echoed.stdout).toBe(bytes.toString('base64'));
  });

  it('gives a shell a terminal that follows the window', async () => {
    const { exitCode } = await execa('timeout', ['60', 'python3', join(import.meta.dirname, 'resize-terminal.py'), 'ssh', ...sshWords(['ps:exec', 'hello'])], { reject: false });
    expect(exitCode).toBe(6);
  });

  it('ends a shell and what it has started with the session', async () => {
    const session = openTerminal(['ps:exec', 'hello']);
    await session.sees('#');
    session.types('tty\n');
    await session.sees('/dev/pts/');
    session.types('sleep 4711 & exec sleep 4712\n');
    await until('it runs', async () => (await processes()).includes('sleep 4712'));
    session.leave();
    await until('what it started has ended', async () => !/sleep 471[12]/.test(await processes()));
    expect((await forge.get('hello')).status).toBe(200);
  });

  it('ends a command without a terminal when its person leaves', async () => {
    const running = forge.ssh$(['ps:exec', 'hello', 'sleep', '4713'], { input: '' });
    await until('it runs', async () => (await processes()).includes('sleep 4713'));
    running.kill('SIGKILL');
    await running;
    await until('it has ended', async () => !(await processes()).includes('sleep 4713'));
  });
});

describe('ps:rebuild', () => {
  it('builds and deploys the pushed commit again, byte for byte', async () => {
    const before = await forge.json<{ version: number; commit: string }[]>('releases:list', 'hello');
    const rebuilt = await forge.ssh$(['ps:rebuild', 'hello']);
    expect(rebuilt).toMatchObject({ exitCode: 0 });
    const after = await forge.json<{ version: number; commit: string; reason: string; image: string; isCurrent: boolean }[]>('releases:list', 'hello');
    expect(after[0]).toMatchObject({ version: (before[0]?.version ?? 0) + 1, commit: before[0]?.commit, isCurrent: true, reason: expect.stringMatching(/^Rebuild [0-9a-f]{7}$/) });
    expect((await forge.get('hello')).status).toBe(200);
    expect((await forge.ssh$(['ps:exec', 'hello', 'sha256sum', 'server.js'])).stdout.split(' ')[0]).toBe(createHash('sha256').update(readFileSync(join(folder, 'server.js'))).digest('hex'));
  });
});

interface OpenTerminal {
  sees(text: string): Promise<void>;
  types(text: string): void;
  leave(): void;
}

const sshWords = (words: readonly string[]): string[] => [
  '-F', '/dev/null', '-i', forge.keyPath, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR',
  '-tt', '-p', String(forge.ssh), 'forge@127.0.0.1', ...words,
];

/** `ssh -tt`, as a person at a keyboard has it. */
function openTerminal(words: readonly string[]): OpenTerminal {
  const child = execa('ssh', sshWords(words), { reject: false, stdin: 'pipe' });
  let seen = '';
  child.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  return {
    sees: async (text) => void (await until(`${JSON.stringify(text)} on the terminal`, async () => seen.includes(text))),
    types: (text) => void child.stdin.write(text),
    leave: () => void child.kill('SIGKILL'),
  };
}
