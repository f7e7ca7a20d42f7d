/** What builds left behind when forge ended in the middle of them. */
import type { Docker } from '../../docker/connect.ts';
import { listContainers, removeContainer } from '../../docker/containers.ts';
import { labels } from '../../labels.ts';
import { findVolumes, removeVolume } from '../../docker/volumes.ts';

/** Removes containers and volumes of builds; nothing may be building. Caches stay. */
export async function sweepBuilds(docker: Docker, dataId: string): Promise<void> {
  const containers = await listContainers(docker, [`${labels.data}=${dataId}`, labels.build]);
  await Promise.all(containers.filter(({ Labels }) => Labels[labels.build]).map(({ Id }) => removeContainer(docker, Id)));
  const volumes = await findVolumes(docker, { [labels.data]: dataId, [labels.build]: '' });
  await Promise.all(volumes.map((name) => removeVolume(docker, name)));
}
