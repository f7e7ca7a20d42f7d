/** Is the firewall in place? Asked from where an app stands: a container on an app network tries what it must not reach. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createContainer, removeContainer, startContainer, tailContainer, waitForExit } from '../docker/containers.ts';
import { ensureEmptyImage } from '../docker/empty-image.ts';
import { isForgeError } from '../errors.ts';
import { labels, oneOffType } from '../labels.ts';
import { withTimeout } from '../wait.ts';
import type { RuntimeParts } from './parts.ts';

export interface FirewallCheck {
  /** Whether the test could be made; otherwise `problem` says why not and nothing is known. */
  readonly isTested: boolean;
  /** A container reached a port that this machine listens on at 0.0.0.0. */
  readonly reachesHost: boolean;
  /** A container reached 169.254.169.254. */
  readonly reachesLinkLocal: boolean;
  /** In words, what is open or why it could not be tested; `undefined`: all closed. */
  readonly problem: string | undefined;
}

/** No app can have this name. */
export const checkApp = 'forge';

const checkTimeoutMs = 30_000;
const answerMs = 2_000;
const memoryBytes = 256 * 1024 * 1024;

/** What the forge's own Node needs of the host to run in an otherwise empty container; all read-only. Machines with ARM processors have no /lib64. */
const libraries = ['/usr', '/lib', '/lib64'].filter((path) => existsSync(path));

/** Never throws for a test that could not be made: that is a result too. */
export async function checkFirewall({ parts, nodePath, signal }: { readonly parts: RuntimeParts; readonly nodePath: string; readonly signal: AbortSignal }): Promise<FirewallCheck> {
  const unknown = (reason: string): FirewallCheck => ({ isTested: false, reachesHost: false, reachesLinkLocal: false, problem: `the firewall could not be tested: ${reason}` });
  try {
    return await withTimeout(checkTimeoutMs, 'the test container did not answer in time', (limit) => ask(parts, nodePath, limit), signal);
  } catch (error) {
    if (signal.aborted) throw error;
    return unknown(isForgeError(error) ? error.message : String(error));
  }
}

async function ask(parts: RuntimeParts, nodePath: string, signal: AbortSignal): Promise<FirewallCheck> {
  const image = await ensureEmptyImage(parts.docker);
  await using listener = await listen();
  using lease = await parts.networks.join(checkApp, 1, signal);
  const address = lease.addresses[0] ?? '';
  const gateway = address.replace(/\d+$/, '1');
  const name = `${checkApp}.${oneOffType}.${randomBytes(4).toString('hex')}`;
  try {
    const spec = specOf({ name, image, nodePath, network: lease.network, dataId: parts.dataId, script: scriptOf(gateway, listener.port) });
    const id = await createContainer(parts.docker, spec);
    await startContainer(parts.docker, id);
    const status = await waitForExit(parts.docker, id, signal);
    const lines = await tailContainer(parts.docker, id, 5);
    if (status !== 0) throw new Error(`the test container ended with status ${status}: ${lines.join(' ')}`);
    const [reachesHost, reachesLinkLocal] = JSON.parse(lines.join('')) as [boolean, boolean];
    return { isTested: true, reachesHost, reachesLinkLocal, problem: problemOf(reachesHost, reachesLinkLocal) };
  } finally {
    lease[Symbol.dispose]();
    await removeContainer(parts.docker, name);
    await parts.networks.removeIfEmpty(checkApp);
  }
}

function problemOf(reachesHost: boolean, reachesLinkLocal: boolean): string | undefined {
  const open = [
    ...(reachesHost ? ['whatever this machine listens on (any port at 0.0.0.0)'] : []),
    ...(reachesLinkLocal ? ['169.254.169.254, where clouds keep credentials'] : []),
  ];
  return open.length === 0 ? undefined : `apps can reach ${open.join(' and ')}: run sudo forge firewall apply`;
}

/** A port of forge's own at 0.0.0.0, so that the test does not depend on what else listens. */
async function listen(): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer((socket) => socket.destroy());
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

const scriptOf = (gateway: string, port: number): string => `
const { connect } = require('node:net');
const reaches = (host, port) => new Promise((resolve) => {
  const socket = connect({ host, port, timeout: ${answerMs} });
  const end = (answer) => { socket.destroy(); resolve(answer); };
  socket.on('connect', () => end(true)).on('timeout', () => end(false)).on('error', () => end(false));
});
Promise.all([reaches('${gateway}', ${port}), reaches('169.254.169.254', 80)]).then((answers) => console.log(JSON.stringify(answers)));
`;

interface CheckSpecInput {
  readonly name: string;
  readonly image: string;
  readonly nodePath: string;
  readonly network: string;
  readonly dataId: string;
  readonly script: string;
}

function specOf({ name, image, nodePath, network, dataId, script }: CheckSpecInput) {
  const readOnly = (source: string, target: string) => ({ Type: 'bind' as const, Source: source, Target: target, ReadOnly: true });
  return {
    name,
    Image: image,
    User: '65534:65534',
    Entrypoint: ['/node', '-e', script],
    Cmd: [],
    Labels: { [labels.app]: checkApp, [labels.type]: oneOffType, [labels.data]: dataId },
    HostConfig: {
      NetworkMode: network,
      // `Mounts` fail where a source does not exist, as in a forge that runs in a container; `Binds` would create it.
      Mounts: [readOnly(nodePath, '/node'), ...libraries.map((path) => readOnly(path, path))],
      ReadonlyRootfs: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: memoryBytes,
      MemorySwap: memoryBytes,
      PidsLimit: 64,
    },
  };
}
