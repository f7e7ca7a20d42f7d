/** A whole forge for one test file: the real program on free ports, its data in a temporary directory, an admin's key. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { execa, type ResultPromise } from 'execa';
import { keepIfFailed } from './failed-commands.ts';
import { ensureNodeImage } from './images.ts';
import { childrenOf, endProcess, isAlive } from './processes.ts';

const root = resolve(import.meta.dirname, '../..');
/** As installed, compiled; with FORGE_TEST_SOURCES the sources as they are. */
const [program, ...programArgs] = process.env['FORGE_TEST_SOURCES'] ? [process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'src/cli/main.ts')] : [join(root, 'bin/forge')];
const extraCa = '/etc/ssl/certs/ca-certificates.crt';
const startTimeoutMs = 60_000;

export interface Command {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, as a person sees them. */
  readonly all: string;
}

/** A command that runs; awaiting it gives how it ended. */
export interface Spawned extends PromiseLike<Command> {
  readonly pid: number;
  readonly stdout: NodeJS.ReadableStream;
  readonly stderr: NodeJS.ReadableStream;
  readonly stdin: NodeJS.WritableStream;
  kill(signal?: NodeJS.Signals): boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

export interface SeenDeployment {
  readonly id: string;
  readonly status: string;
  readonly failure?: string;
  readonly version?: number;
}

export interface RunningForge {
  readonly data: string;
  readonly http: number;
  readonly ssh: number;
  /** Process ids of the control plane (with its proxy as a child). */
  readonly pid: number;
  /** Path of the admin's private key. */
  readonly keyPath: string;
  /** `ssh forge <words>`; input goes to stdin. */
  ssh$(words: readonly string[], options?: { readonly input?: string | Uint8Array; readonly key?: string; readonly flags?: readonly string[] }): Spawned;
  /** What an operation answers with `--json`, asked as the operator; throws when it fails. */
  json<T = Record<string, unknown>>(...words: readonly string[]): Promise<T>;
  /** The attempts to deploy an app, newest first. */
  deployments(app: string): Promise<readonly SeenDeployment[]>;
  /** Names of the running instances of an app with their release, such as `web.1@v2`. */
  instances(app: string): Promise<readonly string[]>;
  /** `forge <words>` as the operator on the machine. */
  forge$(words: readonly string[], options?: { readonly input?: string; readonly cwd?: string }): Spawned;
  /** git with this forge's key, in a folder. */
  git$(folder: string, words: readonly string[], options?: { readonly key?: string; readonly isGroup?: boolean }): Spawned;
  /** Commits everything in the folder; resolves to the commit's id. */
  commit(folder: string): Promise<string>;
  /** Commits everything in the folder and pushes it to the app's main branch. */
  push(folder: string, app: string, refspec?: string): Promise<Command>;
  remote(app: string): string;
  /** Asks the proxy for a path of the app's host. */
  get(app: string, path?: string): Promise<Answer>;
  /** Another key pair that forge does not know. */
  newKey(name: string): Promise<string>;
  /** Ends it with the signal and starts it again on the same ports and data. */
  restart(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it with the signal; resolves once it is gone. A proxy of its own process goes on. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again after `end`, with settings of this run alone. */
  begin(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Ends the proxy, where it is a process of its own. */
  endProxy(signal: NodeJS.Signals): Promise<void>;
  /** Starts the proxy again after `endProxy`, on the same port. */
  beginProxy(): Promise<void>;
  /** Stops it and removes everything that it made. */
  remove(): Promise<void>;
}

export interface BootOptions {
  /** Settings as flags: `{ readinessTimeout: '5' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Proxy and control plane as two processes, as an installed forge has them; otherwise `forge up`. */
  readonly hasOwnProxy?: boolean;
  /** What is done with the data directory before the first start. */
  prepare?(data: string): Promise<void>;
  /** An admin's private key, its public one beside it; otherwise a new one. */
  readonly adminKeyPath?: string;
}

export async function bootForge({ settings = {}, hasOwnProxy = false, prepare, adminKeyPath }: BootOptions = {}): Promise<RunningForge> {
  await ensureNodeImage();
  const home = await mkdtemp(join(tmpdir(), 'forge-test-'));
  const data = join(home, 'data');
  const keyPath = adminKeyPath ?? (await createKey(home, 'admin'));
  await prepare?.(data);
  const known = join(home, 'known_hosts');
  const fixed: Record<string, string> = { domain: 'localhost', bind: '127.0.0.1', cacheDir: process.env['FORGE_TEST_CACHE'] ?? join(root, '.cache'), buildExtraCa: extraCa, adminKey: `${keyPath}.pub`, logLevel: 'warn' };
  const beginProxy = async (http: string): Promise<Started> => await startCommand(['proxy', '--data', data], { ...fixed, http, ...settings });
  let proxy = hasOwnProxy ? await beginProxy('0') : undefined;
  const command = [hasOwnProxy ? 'serve' : 'up', '--data', data];
  let ports = { http: '0', ssh: '0' };
  const begin = async (more: Readonly<Record<string, string>> = {}): Promise<Started> => await startCommand(command, { ...fixed, ...ports, ...settings, ...more });
  let running = await begin();
  ports = { http: String(running.http), ssh: String(running.ssh) };

  const sshFlags = (key = keyPath) => ['-F', '/dev/null', '-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${known}`, '-o', 'LogLevel=ERROR'];
  const gitEnv = (key?: string) => ({ GIT_SSH_COMMAND: `ssh ${sshFlags(key).join(' ')}`, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: join(home, 'gitconfig') });
  await writeFile(join(home, 'gitconfig'), '[user]\n\tname = Tester\n\temail = tester@example.com\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n');

  const git$: RunningForge['git$'] = (folder, words, options) => keepIfFailed(execa('git', words, { cwd: folder, env: gitEnv(options?.key), reject: false, all: true, detached: options?.isGroup === true })) as never;
  const commit = async (folder: string): Promise<string> => {
    await git$(folder, ['init', '-q']);
    await git$(folder, ['add', '-A']);
    await git$(folder, ['commit', '-q', '-m', 'Change', '--allow-empty']);
    return (await git$(folder, ['rev-parse', 'HEAD'])).stdout.trim();
  };
  const remote = (app: string) => `ssh://forge@127.0.0.1:${running.ssh}/${app}`;
  const forge$: RunningForge['forge$'] = (words, options = {}) =>
    keepIfFailed(execa(program, [...programArgs, '--data', data, ...words], { reject: false, all: true, cwd: options.cwd ?? home, ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }) })) as never;
  const ssh$: RunningForge['ssh$'] = (words, options = {}) =>
    keepIfFailed(execa('ssh', [...sshFlags(options.key), ...(options.flags ?? []), '-p', String(running.ssh), 'forge@127.0.0.1', ...words], { reject: false, all: true, ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }) })) as never;
  const json = async <T>(...words: readonly string[]): Promise<T> => {
    const { exitCode, stdout, stderr } = await ssh$([...words, '--json']);
    if (exitCode !== 0) throw new Error(`${words.join(' ')} ended with ${exitCode}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  return {
    data,
    keyPath,
    get http() {
      return running.http;
    },
    get ssh() {
      return running.ssh;
    },
    get pid() {
      return running.child.pid as number;
    },
    ssh$,
    forge$,
    json,
    deployments: async (app) => await json('deployments:list', app),
    instances: async (app) => {
      const { instances } = await json<{ instances: { name: string; release: number; isRunning: boolean }[] }>('ps:list', app);
      return instances.filter(({ isRunning }) => isRunning).map(({ name, release }) => `${name}@v${release}`).sort();
    },
    git$,
    remote,
    commit,
    push: async (folder, app, refspec = 'main') => {
      await commit(folder);
      return await git$(folder, ['push', remote(app), refspec]);
    },
    get: async (app, path = '/') => await get({ port: running.http, host: `${app}.localhost`, path }),
    newKey: async (name) => await createKey(home, name),
    restart: async (signal = 'SIGTERM') => {
      await end(running.child, signal);
      running = await begin();
    },
    end: async (signal) => await end(running.child, signal),
    begin: async (more) => void (running = await begin(more)),
    endProxy: async (signal) => {
      if (proxy) await end(proxy.child, signal);
    },
    beginProxy: async () => void (proxy = await beginProxy(ports.http)),
    remove: async () => {
      await end(running.child, 'SIGTERM');
      if (proxy) await end(proxy.child, 'SIGTERM');
      await removeFromEngine(data);
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** A folder with these files, removed with the test's other temporary files by the system. */
export async function appFolder(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'forge-app-'));
  await writeFiles(folder, files);
  return folder;
}

export async function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(resolve(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** A Dockerfile app on the test image that answers with `text`; `server` replaces its whole program. */
export const dockerfileApp = (text: string, server?: string): Record<string, string> => ({
  Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.js"]\n',
  'server.js': server ?? `require('node:http').createServer((request, response) => response.end(${JSON.stringify(text)})).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`,
});

/** Waits until `check` returns something other than undefined or false; fails with what it saw last. */
export async function until<T>(what: string, check: () => Promise<T | undefined | false>, timeoutMs = 30_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await check();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${timeoutMs} ms`);
    await setTimeout(20);
  }
}

async function createKey(home: string, name: string): Promise<string> {
  const path = join(home, `key-${name}`);
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', `${name}@test`, '-f', path]);
  return path;
}

interface Started {
  readonly child: ResultPromise;
  readonly http: number;
  readonly ssh: number;
}

/** Starts a forge that says where it serves, in one line of JSON. */
async function startCommand(words: readonly string[], settings: Readonly<Record<string, string>>): Promise<Started> {
  const flags = Object.entries(settings).flatMap(([key, value]) => [`--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, value]);
  const child = execa(program, [...programArgs, ...words, '--json', ...flags], { reject: false, stdin: 'ignore', stdout: 'pipe', stderr: ['pipe', process.env['FORGE_TEST_LOG'] ? 'inherit' : 'pipe'], buffer: { stdout: false, stderr: true } as never, timeout: 0 });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const { promise: first, resolve: said } = Promise.withResolvers<string>();
  lines.once('line', said);
  const ended = child.then(({ stderr }) => {
    throw new Error(`forge ${words[0]} ended: ${String(stderr)}`);
  });
  ended.catch(() => undefined);
  const timeout = AbortSignal.timeout(startTimeoutMs);
  const late = new Promise<never>((_, reject) => timeout.addEventListener('abort', () => reject(new Error(`forge ${words[0]} did not serve in time`))));
  const line = await Promise.race([first, ended, late]);
  const { http, ssh } = JSON.parse(line) as { http: number; ssh: number };
  return { child: child as unknown as ResultPromise, http, ssh };
}

/** Ends forge; its proxy ends with it, or is ended here when forge could not. */
async function end(child: ResultPromise, signal: NodeJS.Signals): Promise<void> {
  if (!isAlive(child.pid as number)) return;
  const children = childrenOf(child.pid as number);
  child.kill(signal);
  await child;
  for (const pid of children) endProcess(pid);
  for (const pid of children) await until(`process ${pid} ends`, async () => !isAlive(pid));
}

/** Everything with the label of this data directory, and nothing else. */
async function removeFromEngine(data: string): Promise<void> {
  const id = readFileSync(join(data, 'id'), 'utf8').trim();
  const filter = ['--filter', `label=forge.data=${id}`];
  const list = async (...words: string[]) => (await execa('docker', [...words, '-q', ...filter])).stdout.split('\n').filter(Boolean);
  const containers = await list('ps', '-a');
  if (containers.length > 0) await execa('docker', ['rm', '-f', '-v', ...containers], { reject: false });
  for (const network of await list('network', 'ls')) await execa('docker', ['network', 'rm', network], { reject: false });
  for (const image of await list('images')) await execa('docker', ['rmi', '-f', image], { reject: false });
  for (const volume of await list('volume', 'ls')) await execa('docker', ['volume', 'rm', '-f', volume], { reject: false });
}

async function get({ port, host, path }: { readonly port: number; readonly host: string; readonly path: string }): Promise<Answer> {
  const { promise, resolve: answered, reject } = Promise.withResolvers<Answer>();
  const asked = request({ host: '127.0.0.1', port, path, headers: { host: `${host}:${port}` }, agent: false }, (response) => {
    const parts: Buffer[] = [];
    response.on('data', (part: Buffer) => parts.push(part));
    response.on('error', reject);
    response.on('end', () => answered({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString() }));
  });
  asked.on('error', reject);
  asked.setTimeout(30_000, () => asked.destroy(new Error('no answer within 30 s')));
  asked.end();
  return await promise;
}
