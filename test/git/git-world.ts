/** A temporary world for pushes: repositories, the hook's socket, both transports, and real git clients. Deploys are the test's. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { listenControl, type ControlConnection, type ControlServer } from '../../src/control/server.ts';
import { createPushes, type PushRecord } from '../../src/deploy/push.ts';
import type { DeployRequest } from '../../src/deploy/deploy.ts';
import type { Actor, Release } from '../../src/domain.ts';
import { exitStatusOf, ForgeError, isForgeError } from '../../src/errors.ts';
import { createFetch } from '../../src/git/fetch.ts';
import { createGitHttp } from '../../src/git/http.ts';
import { createRepositories, type Repositories } from '../../src/git/repositories.ts';
import { createLog } from '../../src/log.ts';

const root = resolve(import.meta.dirname, '../..');

export const zeroId = '0'.repeat(40);
export const alice: Actor = { name: 'alice', via: 'token', isAdmin: true, permission: 'manage', apps: 'all' };
/** May push to `hers` and nothing else, and creates nothing. */
export const bob: Actor = { name: 'bob', via: 'token', isAdmin: false, permission: 'deploy', apps: ['hers'] };

export interface Result {
  readonly status: number;
  readonly output: string;
}

export interface GitWorld {
  readonly folder: string;
  readonly repositories: Repositories;
  readonly apps: Set<string>;
  readonly socketPath: string;
  readonly httpPort: number;
  /** How every deploy ended: `succeeded`, or its error. */
  readonly outcomes: unknown[];
  /** What was kept of every push. */
  readonly records: PushRecord[];
  /** Secrets of the hooks that came. */
  readonly secrets: string[];
  /** Resolves when a deploy may begin, as the queue does. */
  turn: () => Promise<void>;
  /** What a deploy does between its source and its swap; replaced by tests. */
  deploy: (request: DeployRequest) => Promise<void>;
  sshUrl(app: string): string;
  httpUrl(app: string, token?: string): string;
  /** Runs git in a folder and collects its end. */
  git(folder: string, ...args: string[]): Promise<Result>;
  startGit(folder: string, ...args: string[]): ChildProcess;
  /** A new clone-like folder with one commit. */
  workspace(name: string, files?: Record<string, string>): Promise<string>;
  commit(folder: string, files: Record<string, string>): Promise<string>;
  close(): Promise<void>;
}

export async function createGitWorld(): Promise<GitWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'forge-git-'));
  const log = createLog('silent', 'test');
  const apps = new Set(['hers']);
  const secrets: string[] = [];
  const outcomes: unknown[] = [];
  const records: PushRecord[] = [];
  const repositories = createRepositories({ directory: join(folder, 'repos'), hooksPath: join(root, 'hooks'), nodePath: process.execPath, log: createLog('silent', 'test') });
  const socketPath = join(folder, 'admin.sock');
  const authorize = (actor: Actor, app: string): void => {
    if (actor.isAdmin || actor.apps.includes(app)) return;
    throw new ForgeError(apps.has(app) ? 'forbidden' : 'not-found', `no ${app} for ${actor.name}`);
  };
  const pushes = createPushes({
    repositories,
    hookSocketPath: socketPath,
    maxPackBytes: 0,
    authorize,
    ensureApp: (_actor, app) => void apps.add(app),
    deploy: async (request) => {
      try {
        await world.turn();
        await request.verify();
        await world.deploy(request);
        await request.confirm();
        outcomes.push('succeeded');
        return {} as Release;
      } catch (error) {
        outcomes.push(error);
        throw error;
      }
    },
    record: (push) => void records.push(push),
    log,
  });
  const fetch = createFetch({ repositories, authorize });

  const onDoor = async (connection: ControlConnection): Promise<void> => {
    if (connection.hello.kind === 'hook') {
      secrets.push(connection.hello.secret);
      return await pushes.handleHook(connection);
    }
    if (connection.hello.kind !== 'door') return;
    const { command, gitProtocol } = connection.hello;
    const [, service = '', app = ''] = /^git-(receive|upload)-pack '\/?(.*)'$/.exec(command) ?? [];
    const io = { ...connection, actor: alice, gitProtocol };
    try {
      await connection.exit(await (service === 'receive' ? pushes.handlePush(io, app) : fetch(io, app)));
    } catch (error) {
      connection.stderr.write(`${isForgeError(error) ? error.message : String(error)}\n`);
      await connection.exit(exitStatusOf(error));
    }
  };
  const control: ControlServer = await listenControl({ socketPath, mode: 0o600, accepts: ['hook', 'door'], onConnection: onDoor, log });

  const tokens: Record<string, Actor> = { 'alice-token': alice, 'bob-token': bob };
  const handle = createGitHttp({ authenticate: (_username, password) => tokens[password], push: pushes.handlePush, fetch, log });
  const http: Server = createServer((request, response) => {
    request.headers['x-forwarded-for'] ??= '127.0.0.1';
    void handle(request, response);
  });
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  const httpPort = (http.address() as AddressInfo).port;

  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: `${process.execPath} ${join(root, 'test/git/ssh-client.ts')} ${socketPath}`,
    GIT_SSH_VARIANT: 'ssh',
    GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.com', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  const git = async (at: string, ...args: string[]): Promise<Result> =>
    await new Promise((done) => {
      execFile('git', args, { cwd: at, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        done({ status: error ? Number(error.code) : 0, output: `${stdout}${stderr}` });
      });
    });
  const commit = async (at: string, files: Record<string, string>): Promise<string> => {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(at, name)), { recursive: true });
      await writeFile(join(at, name), text);
    }
    await git(at, 'add', '-A');
    await git(at, 'commit', '-qm', 'change');
    return (await git(at, 'rev-parse', 'HEAD')).output.trim();
  };

  const world: GitWorld = {
    folder, repositories, apps, socketPath, httpPort, secrets, outcomes, records, git, commit,
    turn: () => Promise.resolve(),
    deploy: async (request) => void (await drain(request)),
    sshUrl: (app) => `ssh://forge@host/${app}`,
    httpUrl: (app, token = 'alice-token') => `http://x:${token}@127.0.0.1:${httpPort}/${app}.git`,
    startGit: (at, ...args) => spawn('git', args, { cwd: at, env, detached: true }),
    workspace: async (name, files = { 'a.txt': 'hello\n' }) => {
      const at = join(folder, name);
      await mkdir(at);
      await git(at, 'init', '-q', '-b', 'main');
      await commit(at, files);
      return at;
    },
    close: async () => {
      await new Promise((done) => (http.close(done), http.closeAllConnections()));
      await control.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return world;
}

/** Reads the source as a deploy would, and says so to the pusher. */
export async function drain(request: DeployRequest): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const source = await request.openSource?.(request.signal);
  for await (const chunk of source ?? []) chunks.push(chunk as Buffer);
  const tar = Buffer.concat(chunks);
  request.output.write(`-----> Received ${tar.length} bytes\n`);
  return tar;
}
