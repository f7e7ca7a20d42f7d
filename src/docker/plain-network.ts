/** Bridge networks whose addresses the engine chooses, one for each purpose of forge's own (registry, builds). */
import { createHash } from 'node:crypto';
import { isForgeError } from '../errors.ts';
import { bridgePrefix } from '../labels.ts';
import { boundedCall } from './bounded-call.ts';
import type { Docker } from './connect.ts';
import { removeNetwork } from './networks.ts';

const bridgeOption = 'com.docker.network.bridge.name';

/**
 * Makes the network unless there is one of that name. Without `hasNeighbours` its containers cannot reach each other.
 * Its bridge has a name that the firewall knows: what runs there, such as the install scripts of an app's packages,
 * reaches no more of the machine than apps do.
 */
export async function ensurePlainNetwork(docker: Docker, options: { name: string; labels: Readonly<Record<string, string>>; hasNeighbours: boolean }): Promise<void> {
  const { name, labels, hasNeighbours } = options;
  const bridge = bridgeName(name);
  const found = await findBridge(docker, name);
  // One of an older forge, or of another's making, that something still uses stays as it is.
  if (found === bridge || (found !== undefined && !(await removeNetwork(docker, name)))) return;
  const draft = {
    Name: name,
    CheckDuplicate: true,
    Driver: 'bridge',
    Options: { [bridgeOption]: bridge, 'com.docker.network.bridge.enable_icc': String(hasNeighbours) },
    Labels: { ...labels },
  };
  try {
    await boundedCall(`make the network ${name}`, (abortSignal) => docker.createNetwork({ ...draft, abortSignal } as typeof draft));
  } catch (error) {
    // Somebody else made it in the meantime.
    if (!isForgeError(error) || error.code !== 'conflict') throw error;
  }
}

/** The firewall knows forge's bridges by how their names begin; an interface's name has at most 15 characters. */
const bridgeName = (network: string): string => `${bridgePrefix}${createHash('sha256').update(network).digest('hex').slice(0, 12)}`;

/** Name of the network's bridge, '' when the engine chose one; `undefined` without such a network. */
async function findBridge(docker: Docker, name: string): Promise<string | undefined> {
  try {
    const { Options } = (await boundedCall('inspect the network', () => docker.getNetwork(name).inspect() as Promise<unknown>)) as { Options?: Readonly<Record<string, string>> | null };
    return Options?.[bridgeOption] ?? '';
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}
