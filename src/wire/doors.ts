/** The doors of the control plane: control sockets, SSH, git over HTTP, and the operations behind them. */
import { join } from 'node:path';
import { listenHttp } from '../api/http-server.ts';
import { listenControl, type ControlConnection } from '../control/server.ts';
import { createPushes } from '../deploy/push.ts';
import type { Actor, HandleSession, Session } from '../domain.ts';
import { createFetch } from '../git/fetch.ts';
import { createGitSessions } from '../git/git-sessions.ts';
import { createGitHttp } from '../git/http.ts';
import { openArchive } from '../git/open-archive.ts';
import { actorOfKey, actorOfToken, operator } from '../operations/actors.ts';
import { authorize, mayCreateApp } from '../operations/authorize.ts';
import { addAdminKeys } from '../operations/admin-keys.ts';
import { runOperation } from '../operations/run-operation.ts';
import type { Services } from '../operations/services.ts';
import { createDispatch } from '../ssh/dispatch.ts';
import { createDoor } from '../ssh/door.ts';
import { relayCommand, writeAuthorizedKeys } from '../ssh/authorized-keys.ts';
import { createSshServer } from '../ssh/server.ts';
import { findApp, noSuchApp } from '../store/apps.ts';
import { recordAudit } from '../store/audit.ts';
import { findKeyByBlob, findKeyByFingerprint, findKeys } from '../store/keys.ts';
import { type Store } from '../store/store.ts';
import { findTokenBySecret } from '../store/tokens.ts';
import { forgeVersion } from '../version.ts';
import { adminSocketPath, webSocketPath, type Core } from './core.ts';
import { ensureApp } from './ensure-app.ts';

export async function openDoors(core: Core, stack: AsyncDisposableStack): Promise<{ ssh: number | undefined; adminSocket: string }> {
  const { config, log, store, repositories, deployer } = core;
  const adminSocket = adminSocketPath(config);
  const pushes = createPushes({
    repositories,
    log,
    faults: core.faults,
    hookSocketPath: adminSocket,
    maxPackBytes: config.sourceMaxBytes,
    authorize: (actor, app) => (findApp(store, app) ? authorize(actor, 'deploy', app) : mayCreateApp(actor, app, config)),
    ensureApp: (actor, app) => ensureApp(actor, app, core),
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

function seeApp(actor: Actor, app: string, store: Store): void {
  authorize(actor, 'view', app);
  if (!findApp(store, app)) throw noSuchApp(app);
}

const operatorSession = (connection: ControlConnection, argv: readonly string[]): Session => ({ ...connection, actor: operator, argv, gitProtocol: undefined });

function servicesOf(core: Core, endSessionsOf: (name: string) => void): Services {
  const { store, config, deployer, backups, retention, things, work, runtime, logs, repositories, log } = core;
  const relayPath = join(import.meta.dirname, '../relay', import.meta.filename.endsWith('.ts') ? 'relay.ts' : 'relay.js');
  const keysChanged = async (): Promise<void> => {
    if (config.authorizedKeysFile !== '') await writeAuthorizedKeys(config.authorizedKeysFile, findKeys(store), relayCommand(process.execPath, relayPath, config.doorSocket));
  };
  const code = { ...repositories, openArchive: (app: string, commit: string, signal: AbortSignal) => openArchive({ repositoryPath: repositories.pathOf(app), commit, env: repositories.environment, signal }) };
  return { store, config, version: forgeVersion, deployer, backups, retention, ...things, ...work, runtime, logs, repositories: code, log, endSessionsOf, keysChanged };
}

