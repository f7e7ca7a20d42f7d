/** Bridge networks whose addresses the engine chooses, one for each purpose of forge's own (registry, builds). */
import { isForgeError } from '../errors.ts';
import { type Docker, engineCall } from './connect.ts';

/** Makes the network unless there is one of that name. Without `hasNeighbours` its containers cannot reach each other. */
export async function ensurePlainNetwork(docker: Docker, options: { name: string; labels: Readonly<Record<string, string>>; hasNeighbours: boolean }): Promise<void> {
  const { name, labels, hasNeighbours } = options;
  if (await networkExists(docker, name)) return;
  const call = docker.createNetwork({
    Name: name,
    CheckDuplicate: true,
    Driver: 'bridge',
    Options: { 'com.docker.network.bridge.enable_icc': String(hasNeighbours) },
    Labels: { ...labels },
  });
  try {
    await engineCall(`make the network ${name}`, call);
  } catch (error) {
    // Somebody else made it in the meantime.
    if (!isForgeError(error) || error.code !== 'conflict') throw error;
  }
}

async function networkExists(docker: Docker, name: string): Promise<boolean> {
  try {
    await engineCall('inspect the network', docker.getNetwork(name).inspect() as Promise<unknown>);
    return true;
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return false;
    throw error;
  }
}
