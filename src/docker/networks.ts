/** Bridge networks of the engine. */
import { ForgeError, isForgeError } from '../errors.ts';
import { boundedCall } from './bounded-call.ts';
import type { Docker } from './connect.ts';

export interface NetworkDraft {
  readonly name: string;
  /** Name of the bridge on the host, at most 15 characters. */
  readonly bridge: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Makes the network. Throws `conflict` when the name is taken and `exhausted` when the subnet overlaps another
 * network's, so that the caller can try the next one.
 */
export async function createNetwork(docker: Docker, draft: NetworkDraft): Promise<void> {
  const options = {
    Name: draft.name,
    CheckDuplicate: true,
    Driver: 'bridge',
    IPAM: { Driver: 'default', Config: [{ Subnet: draft.subnet, Gateway: draft.gateway }] },
    Options: { 'com.docker.network.bridge.name': draft.bridge },
    Labels: { ...draft.labels },
  };
  try {
    await boundedCall(`make the network ${draft.name}`, (abortSignal) => docker.createNetwork({ ...options, abortSignal } as typeof options));
  } catch (error) {
    if (isForgeError(error) && /overlap|conflicts with network/i.test(error.message)) {
      throw new ForgeError('exhausted', `${draft.subnet} overlaps another network`, { cause: error });
    }
    throw error;
  }
}

/** The network's subnet, or `undefined` when there is no such network. */
export async function findNetworkSubnet(docker: Docker, name: string): Promise<string | undefined> {
  try {
    const { IPAM } = (await boundedCall('inspect the network', () => docker.getNetwork(name).inspect() as Promise<unknown>)) as { IPAM?: { Config?: { Subnet?: string }[] } };
    return IPAM?.Config?.[0]?.Subnet;
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** The labels of every network that has all of these, given as `name` or `name=value`. */
export async function findNetworkLabels(docker: Docker, label: readonly string[]): Promise<readonly Readonly<Record<string, string>>[]> {
  const found = await boundedCall('list networks', (abortSignal) => docker.listNetworks({ filters: { label: [...label] }, abortSignal }));
  return found.map(({ Labels }) => Labels ?? {});
}

/** Removes the network; succeeds when it is gone already. `false`: containers are still connected. */
export async function removeNetwork(docker: Docker, name: string): Promise<boolean> {
  try {
    await boundedCall(`remove the network ${name}`, (abortSignal) => docker.getNetwork(name).remove({ abortSignal }) as Promise<unknown>);
    return true;
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return true;
    if (isForgeError(error) && /active endpoints|in use/i.test(error.message)) return false;
    throw error;
  }
}
