/**
 * One bridge network per app, there while the app has containers. forge assigns the addresses: one that was in use a
 * moment ago is not handed out again while another is free, so that nobody who still holds it reaches a stranger.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Docker } from '../docker/connect.ts';
import { listContainers } from '../docker/containers.ts';
import { createNetwork, findNetworkLabels, findNetworkSubnet, removeNetwork } from '../docker/networks.ts';
import { ForgeError, isForgeError } from '../errors.ts';
import { bridgePrefix, labels } from '../labels.ts';
import { withTimeout } from '../wait.ts';
import { candidates, formatRange, gatewayOf, isOverlapping, parsePool, parseRoutes, pickAddresses, type Range } from './subnet.ts';

/** Addresses on an app's network that nobody else gets until this is disposed; keep it until the containers exist. */
export interface Lease extends Disposable {
  readonly network: string;
  readonly addresses: readonly string[];
}

export interface AppNetworks {
  /** Makes the app's network if there is none and claims `count` addresses on it. */
  join(app: string, count: number, signal: AbortSignal): Promise<Lease>;
  /** Removes the app's network unless containers or leases are on it. */
  removeIfEmpty(app: string): Promise<void>;
  /** The same for every app: a forge that was killed may have made one and no container yet. */
  removeAllEmpty(): Promise<void>;
}

export interface AppNetworkParts {
  readonly docker: Docker;
  readonly dataId: string;
  /** Range that subnets are taken from, such as `10.224.0.0/12`. */
  readonly pool: string;
  /** The app's place in the pool; the same one for as long as the app exists. */
  allocateSubnet(app: string): number;
}

/** More refusals of the engine than this for one network mean that something else is wrong. */
const maxRefusals = 64;
const joinTimeoutMs = 30_000;
const turnTimeoutMs = 20_000;

interface AppState {
  /** Addresses in the order they were handed out, oldest first. */
  recent: string[];
  readonly claimed: Set<string>;
  leases: number;
  /** End of the queue: changes of one app's network come one after the other. */
  tail: Promise<unknown>;
}

export function createAppNetworks(parts: AppNetworkParts): AppNetworks {
  const { docker, dataId } = parts;
  const pool = parsePool(parts.pool);
  const states = new Map<string, AppState>();

  const stateOf = (app: string): AppState => {
    const state = states.get(app) ?? { recent: [], claimed: new Set(), leases: 0, tail: Promise.resolve() };
    states.set(app, state);
    return state;
  };

  const join = async (app: string, count: number): Promise<Lease> => {
    const state = stateOf(app);
    const network = networkName(dataId, app);
    const [subnet, used] = await Promise.all([ensure(parts, pool, app), addressesInUse(parts, app)]);
    const addresses = pickAddresses(subnet, count, { used: new Set([...used, ...state.claimed]), recent: state.recent });
    state.recent = [...state.recent.filter((address) => !addresses.includes(address)), ...addresses];
    for (const address of addresses) state.claimed.add(address);
    state.leases += 1;
    return { network, addresses, [Symbol.dispose]: once(() => release(state, addresses)) };
  };

  const removeIfEmpty = async (app: string): Promise<void> => {
    if (stateOf(app).leases > 0) return;
    const containers = await listContainers(docker, labelFilter(parts, app));
    if (containers.length === 0) await removeNetwork(docker, networkName(dataId, app));
  };

  const inTurn = <T>(app: string, task: () => Promise<T>): Promise<T> => {
    const state = stateOf(app);
    const turn = state.tail.then(task);
    // One that the engine never answers does not hold up those behind it for longer than each of them waits.
    state.tail = state.tail.then(() => withTimeout(turnTimeoutMs, 'the Docker Engine hangs', () => turn)).catch(() => undefined);
    return turn;
  };

  const removeInTurn = (app: string) => inTurn(app, () => removeIfEmpty(app));

  return {
    join: async (app, count, signal) => {
      const lease = inTurn(app, () => join(app, count));
      try {
        return await withTimeout(joinTimeoutMs, `the Docker Engine did not make the network of ${app} in time`, () => lease, signal);
      } catch (error) {
        void giveBack(lease, () => removeInTurn(app));
        throw error;
      }
    },
    removeIfEmpty: removeInTurn,
    removeAllEmpty: async () => {
      const mine = `${labels.data}=${dataId}`;
      const apps = (await findNetworkLabels(docker, [mine, labels.app])).map((found) => found[labels.app]);
      const inUse = new Set((await listContainers(docker, [mine])).map(({ Labels }) => Labels[labels.app]));
      for (const app of apps) if (app !== undefined && !inUse.has(app)) await removeInTurn(app);
    },
  };
}

/** What comes too late is given back; a network that stays empty goes with the app's next container. */
async function giveBack(lease: Promise<Lease>, removeIfEmpty: () => Promise<void>): Promise<void> {
  const late = await lease.catch(() => undefined);
  late?.[Symbol.dispose]();
  if (late) await removeIfEmpty().catch(() => undefined);
}

/** Name of an app's network in the engine. */
export const networkName = (dataId: string, app: string): string => `forge-${dataId}-${app}`;

/** 14 characters; the kernel takes 15. */
const bridgeName = (dataId: string, app: string): string => `${bridgePrefix}${hashOf(dataId, app).toString('hex').slice(0, 12)}`;

const hashOf = (dataId: string, app: string): Buffer => createHash('sha256').update(`${dataId}/${app}`).digest();

const labelFilter = ({ dataId }: Pick<AppNetworkParts, 'dataId'>, app: string): string[] => [`${labels.data}=${dataId}`, `${labels.app}=${app}`];

function release(state: AppState, addresses: readonly string[]): void {
  for (const address of addresses) state.claimed.delete(address);
  state.leases -= 1;
}

function once(task: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) task();
    isDone = true;
  };
}

async function ensure(parts: AppNetworkParts, pool: Range, app: string): Promise<Range> {
  const name = networkName(parts.dataId, app);
  const existing = await findNetworkSubnet(parts.docker, name);
  if (existing !== undefined) return parsePool(existing);
  const routes = parseRoutes(await readFile('/proc/net/route', 'utf8'));
  const hash = hashOf(parts.dataId, app);
  let refusals = 0;
  for (const subnet of candidates(pool, parts.allocateSubnet(app), hash.readUInt32BE())) {
    if (routes.some((route) => isOverlapping(route, subnet))) continue;
    try {
      await createNetwork(parts.docker, {
        name,
        bridge: bridgeName(parts.dataId, app),
        subnet: formatRange(subnet),
        gateway: gatewayOf(subnet),
        labels: { [labels.app]: app, [labels.data]: parts.dataId },
      });
      return subnet;
    } catch (error) {
      if (!isForgeError(error) || error.code !== 'exhausted' || ++refusals >= maxRefusals) throw error;
    }
  }
  throw new ForgeError('exhausted', `no free network in the pool ${formatRange(pool)} for ${app}`, {
    hint: 'every /24 of it collides with a route of this machine or another network: set networkPool to a range that is free here',
  });
}

/** Stopped containers keep their assigned address too. */
async function addressesInUse(parts: AppNetworkParts, app: string): Promise<ReadonlySet<string>> {
  const containers = await listContainers(parts.docker, labelFilter(parts, app));
  const network = networkName(parts.dataId, app);
  const endpoints = containers.map(({ NetworkSettings }) => NetworkSettings.Networks[network]);
  return new Set(endpoints.flatMap((endpoint) => [endpoint?.IPAddress ?? '', assignedAddress(endpoint) ?? '']));
}

/** The address that a container was created with. */
export function assignedAddress(endpoint: unknown): string | undefined {
  return (endpoint as { readonly IPAMConfig?: { readonly IPv4Address?: string } | null } | undefined)?.IPAMConfig?.IPv4Address;
}
