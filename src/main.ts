/** Wires the control plane: everything that `forge serve` is, in the order in which it comes up. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { listenHttp } from './api/http-server.ts';
import { createBuilders } from './build/create-builders.ts';
import { listenControl, type ControlConnection } from './control/server.ts';
import { refuseSecondServer } from './control/socket-file.ts';
import type { Config } from './config.ts';
import { createAttempts } from './deploy/attempt.ts';
import type { DeployParts } from './deploy/deploy.ts';
import { createDeployer, type Deployer } from './deploy/deployer.ts';
import { createLive } from './deploy/live.ts';
import { createPushes } from './deploy/push.ts';
import { createQueue } from './deploy/queue.ts';
import { createReconciler, type Reconciler } from './deploy/reconciler.ts';
import { recover } from './deploy/recover.ts';
import { createSlots } from './deploy/slots.ts';
import { watchEngine } from './deploy/watch-engine.ts';
import { connectDocker } from './docker/connect.ts';
import type { Actor, HandleSession, Session } from './domain.ts';
import { createFetch } from './git/fetch.ts';
import { createGitSessions } from './git/git-sessions.ts';
import { createGitHttp } from './git/http.ts';
import { createRepositories, type Repositories } from './git/repositories.ts';
import type { Log } from './log.ts';
import { actorOfKey, actorOfToken, operator } from './operations/actors.ts';
import { authorize, mayCreateApp } from './operations/authorize.ts';
import { addAdminKeys } from './operations/admin-keys.ts';
import { runOperation } from './operations/run-operation.ts';
import type { Services } from './operations/services.ts';
import { connectProxy, type ProxyClient } from './proxy/client.ts';
import { socketName } from './proxy/protocol.ts';
import { replaceFile } from './replace-file.ts';
import { createLogCollector, type LogCollector } from './runtime/logs/collector.ts';
import { createRuntime, type Runtime } from './runtime/runtime.ts';
import { parsePool, subnetCount } from './runtime/subnet.ts';
import { createDispatch } from './ssh/dispatch.ts';
import { createDoor } from './ssh/door.ts';
import { relayCommand, writeAuthorizedKeys } from './ssh/authorized-keys.ts';
import { createSshServer } from './ssh/server.ts';
import { createApp, findApp, noSuchApp } from './store/apps.ts';
import { recordAudit } from './store/audit.ts';
import { findKeyByBlob, findKeyByFingerprint, findKeys } from './store/keys.ts';
import { allocateSubnetIndex } from './store/network-slots.ts';
import { openStore, type Store } from './store/store.ts';
import { findTokenBySecret } from './store/tokens.ts';
import { every } from './wait.ts';

const root = resolve(import.meta.dirname, '..');
const reconcileEveryMs = 60_000;
const collectEveryMs = 24 * 60 * 60_000;

export interface Forge {
  /** Where it can be reached; `ssh` is undefined where the machine's OpenSSH is the door. */
  readonly addresses: { readonly ssh: number | undefined; readonly http: number };
  readonly adminSocket: string;
  readonly version: string;
  /** Stops taking work, ends what is under way, leaves apps and proxy running. */
  close(): Promise<void>;
}

export const forgeVersion: string = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;

/** Comes up beside a proxy that runs or is about to. Throws `conflict` for a data directory or port in use. */
export async function startForge(config: Config, log: Log): Promise<Forge> {
  await using stack = new AsyncDisposableStack();
  // Before anything is touched that a forge on this data directory may be using.
  await refuseSecondServer(adminSocketPath(config));
  const core = await wireCore(config, log, stack);
  await recover({ store: core.store, log, resolveRef: core.repositories.resolveRef });
  const doors = await openDoors(core, stack);
  keepReconciled(core, stack);
  const http = await portOfProxy(core);
  core.publicPort.http = http;
  const running = stack.move();
  return {
    addresses: { ssh: doors.ssh, http },
    adminSocket: doors.adminSocket,
    version: forgeVersion,
    close: async () => await running.disposeAsync(),
  };
}

/** A proxy that does not answer must not keep people from pushing and from asking what is wrong; it gets the routes when it is back. */
async function portOfProxy({ proxy, config, log }: Core): Promise<number> {
  try {
    return (await proxy.addresses()).http;
  } catch (error) {
    // Only the proxy knows which port it picked.
    if (config.http === 0) throw error;
    log.warn({ err: error }, 'the proxy does not answer: apps cannot be reached until it runs');
    return config.http;
  }
}

/** Everything below the doors. */
interface Core {
  readonly config: Config;
  readonly log: Log;
  readonly store: Store;
  readonly proxy: ProxyClient;
  readonly repositories: Repositories;
  readonly runtime: Runtime;
  readonly logs: LogCollector;
  readonly deployer: Deployer;
  readonly reconciler: Reconciler;
  /** Port in printed URLs; known once the proxy answers. */
  readonly publicPort: { http: number };
  readonly stopping: AbortSignal;
}

const adminSocketPath = (config: Config): string => join(config.data, 'run', 'admin.sock');
const webSocketPath = (config: Config): string => join(config.proxyDir, 'web.sock');

async function wireCore(config: Config, log: Log, stack: AsyncDisposableStack): Promise<Core> {
  const store = openStore({ data: config.data, log });
  stack.defer(() => store.close());
  // Sources of builds that a killed forge had under way.
  rmSync(join(config.data, 'tmp'), { recursive: true, force: true });
  for (const folder of ['run', 'tmp', 'repos', 'ssh']) mkdirSync(join(config.data, folder), { recursive: true, mode: 0o700 });
  const stopping = new AbortController();
  const docker = connectDocker(config.dockerSocket);
  const dataId = await loadDataId(config.data);
  const proxy = connectProxy({ socketPath: join(config.proxyDir, socketName), log });
  stack.defer(async () => await proxy.close());
  const logs = createLogCollector({ docker, directory: join(config.data, 'logs'), log });
  stack.defer(async () => await logs.close());
  const repositories = createRepositories({ directory: join(config.data, 'repos'), hooksPath: join(root, 'hooks'), nodePath: process.execPath });
  await repositories.cleanQuarantines();
  const runtime = createRuntime({ docker, dataId, config, log, logs, allocateSubnet: (app) => allocateSubnetIndex(store, app, { slots: subnetCount(parsePool(config.networkPool)) }) });
  const live = createLive({ proxy, runtime, log, domain: config.domain, controlSocket: webSocketPath(config), webSocketGraceMs: config.webSocketGrace, signal: stopping.signal });
  const { builders, forgetBuilds, collectGarbage, sweep, settled } = createBuilders({ docker, config, dataId, log });
  stack.defer(settled);
  const onCollectError = (error: unknown) => log.warn({ err: error }, 'the image registry could not be cleaned up; tomorrow it is tried again');
  stack.use(every(collectEveryMs, async () => await collectGarbage(stopping.signal), onCollectError));
  void runtime.removeAbandoned().catch((error: unknown) => log.warn({ err: error }, 'one-off containers of an earlier run could not be removed yet'));
  void sweep().catch((error: unknown) => log.warn({ err: error }, 'what interrupted builds left could not be removed yet'));
  const publicPort = { http: config.http };
  const attempts = createAttempts({ store, data: config.data, log });
  stack.defer(async () => await attempts.close());
  const parts: DeployParts = {
    store,
    config,
    runtime,
    builders,
    live,
    queue: createQueue(),
    builds: createSlots(config.buildConcurrency),
    attempts,
    log,
    diskDirectories: [config.data, '/var/lib/docker'],
    urlOf: (app) => urlOf(`${app}.${config.domain}`, config.publicPort || publicPort.http),
  };
  const deployer = createDeployer({ ...parts, repositories, logs, forgetBuilds });
  stack.defer(() => stopping.abort());
  return { config, log, store, proxy, repositories, runtime, logs, deployer, reconciler: createReconciler({ ...parts, logs }), publicPort, stopping: stopping.signal };
}

const urlOf = (host: string, port: number): string => `http://${host}${port === 80 ? '' : `:${port}`}`;

/** A name for this data directory on the engine, made once. */
async function loadDataId(data: string): Promise<string> {
  const path = join(data, 'id');
  if (!existsSync(path)) await replaceFile(path, `${randomBytes(6).toString('hex')}\n`, 0o600);
  return readFileSync(path, 'utf8').trim();
}

async function openDoors(core: Core, stack: AsyncDisposableStack): Promise<{ ssh: number | undefined; adminSocket: string }> {
  const { config, log, store, repositories, deployer } = core;
  const adminSocket = adminSocketPath(config);
  const pushes = createPushes({
    repositories,
    log,
    hookSocketPath: adminSocket,
    maxPackBytes: config.sourceMaxBytes,
    authorize: (actor, app) => (findApp(store, app) ? authorize(actor, 'deploy', app) : mayCreateApp(actor, app, config)),
    ensureApp: (actor, app) => ensureApp(actor, app, store),
    deploy: (request) => deployer.deploy(request),
    record: ({ actor, app, ...details }) => recordAudit(store, { actor: actor.name, via: actor.via, action: 'push', app, details }),
  });
  const gitSessions = createGitSessions();
  const push = gitSessions.bound(pushes.handlePush);
  const fetch = gitSessions.bound(createFetch({ repositories, authorize: (actor, app) => seeApp(actor, app, store) }));
  const revocations: ((name: string) => void)[] = [gitSessions.endSessionsOf];
  const services = servicesOf(core, (name) => revocations.forEach((revoke) => revoke(name)));
  const operations: HandleSession = (session) => runOperation(session, services);
  const dispatch = createDispatch({ push, fetch, operations, log });

  const door = createDoor({ log, handleSession: dispatch, findKeyByFingerprint: (fingerprint) => actorOf(findKeyByFingerprint(store, fingerprint)) });
  revocations.push(door.endSessionsOf);
  const onConnection = async (connection: ControlConnection): Promise<void> => {
    const { hello } = connection;
    if (hello.kind === 'hook') return await pushes.handleHook(connection);
    if (hello.kind === 'door') return await door.handle(hello, connection);
    await connection.exit(await operations(operatorSession(connection, hello.argv)));
  };
  const admin = await listenControl({ socketPath: adminSocket, mode: 0o600, accepts: ['session', 'hook'], onConnection, log });
  stack.defer(async () => await admin.close());
  const relay = await listenControl({ socketPath: config.doorSocket, mode: 0o660, accepts: ['door'], onConnection, log });
  stack.defer(async () => await relay.close());
  const git = createGitHttp({ push, fetch, log, authenticate: (_user, secret) => tokenActor(secret, store) });
  const http = await listenHttp({ socketPath: webSocketPath(config), git, log });
  stack.defer(async () => await http.close());
  if (config.adminKey !== '') addAdminKeys(store, config.adminKey);
  await services.keysChanged();
  return { adminSocket, ssh: await openSsh(core, dispatch, { revocations, stack }) };
}

async function openSsh(
  { config, log, store }: Core,
  handleSession: HandleSession,
  { revocations, stack }: { readonly revocations: ((name: string) => void)[]; readonly stack: AsyncDisposableStack },
): Promise<number | undefined> {
  if (config.ssh < 0) return undefined;
  const hostKeyPath = join(config.data, 'ssh', 'host_ed25519');
  const findKey = (blob: string): Actor | undefined => actorOf(findKeyByBlob(store, blob));
  const ssh = await createSshServer({ hostKeyPath, bind: config.bind, port: config.ssh, findKey, handleSession, log });
  stack.defer(async () => await ssh.close());
  revocations.push(ssh.endSessionsOf);
  return ssh.port;
}

const actorOf = (key: Parameters<typeof actorOfKey>[0] | undefined): Actor | undefined => (key ? actorOfKey(key) : undefined);

function tokenActor(secret: string, store: Store): Actor | undefined {
  const token = findTokenBySecret(store, secret);
  return token ? actorOfToken(token) : undefined;
}

function ensureApp({ name, via }: Actor, app: string, store: Store): void {
  if (findApp(store, app)) return;
  createApp(store, { name: app });
  recordAudit(store, { actor: name, via, action: 'apps:create', app, details: { by: 'push' } });
}

function seeApp(actor: Actor, app: string, store: Store): void {
  authorize(actor, 'view', app);
  if (!findApp(store, app)) throw noSuchApp(app);
}

const operatorSession = (connection: ControlConnection, argv: readonly string[]): Session => ({ ...connection, actor: operator, argv, gitProtocol: undefined });

function servicesOf(core: Core, endSessionsOf: (name: string) => void): Services {
  const { store, config, deployer, runtime, logs, repositories, log } = core;
  const relayPath = join(import.meta.dirname, 'relay', import.meta.filename.endsWith('.ts') ? 'relay.ts' : 'relay.js');
  const keysChanged = async (): Promise<void> => {
    if (config.authorizedKeysFile !== '') await writeAuthorizedKeys(config.authorizedKeysFile, findKeys(store), relayCommand(process.execPath, relayPath, config.doorSocket));
  };
  return { store, config, version: forgeVersion, deployer, runtime, logs, repositories, log, endSessionsOf, keysChanged };
}

/** Serves what runs at once, then repairs: now, when the engine comes back, and every minute. */
function keepReconciled({ reconciler, runtime, log, stopping }: Core, stack: AsyncDisposableStack): void {
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, stopping]);
  const onError = (error: unknown) => {
    if (!signal.aborted) log.warn({ err: error }, 'the machine could not be reconciled; the next pass tries again');
  };
  // One pass at a time, and none may still use the store when it closes.
  let last: Promise<void> = reconciler.adopt().catch(onError);
  const pass = () => (last = last.then(async () => await reconciler.pass(signal)).catch(onError));
  void pass();
  void warnOfOpenFirewall(runtime, log, signal).catch(onError);
  const timer = every(reconcileEveryMs, pass, onError);
  const watching = watchEngine({ runtime, reconciler, pass, log, signal });
  stack.defer(async () => {
    timer[Symbol.dispose]();
    controller.abort();
    await Promise.all([watching, last]);
  });
}

async function warnOfOpenFirewall(runtime: Runtime, log: Log, signal: AbortSignal): Promise<void> {
  const { problem } = await runtime.checkFirewall(signal);
  if (problem !== undefined) log.warn({ problem }, 'containers can reach services of this machine: run `forge firewall apply` as root');
}
