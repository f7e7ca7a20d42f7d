/** Everything of an app in the engine goes. */
import { removeContainer } from '../docker/containers.ts';
import { withTimeout } from '../wait.ts';
import { findContainerIds } from './find-instances.ts';
import type { RuntimeParts } from './parts.ts';

const removalTimeoutMs = 60_000;

/** Removes every container of the app and its network. Throws `timeout` when the engine does not get it done; asking again goes on. */
export async function removeApp(app: string, { docker, dataId, networks }: RuntimeParts): Promise<void> {
  await withTimeout(removalTimeoutMs, `the Docker Engine did not remove the containers of ${app} in time`, async () => {
    const ids = await findContainerIds({ docker, dataId, app });
    await Promise.all(ids.map((id) => removeContainer(docker, id)));
    await networks.removeIfEmpty(app);
  });
}
