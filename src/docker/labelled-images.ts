import { boundedCall } from './bounded-call.ts';
import type { Docker } from './connect.ts';
import { removeImage } from './images.ts';

/** Removes every image that carries all of these `key=value` labels, with all its tags; one that a container uses stays, and those of `keep`, by id. */
export async function removeLabelledImages(docker: Docker, labels: readonly string[], keep: ReadonlySet<string> = new Set()): Promise<void> {
  const images = await boundedCall('list images', (abortSignal) => docker.listImages({ filters: { label: [...labels] }, abortSignal }));
  for (const { Id, RepoTags } of images) {
    if (keep.has(Id)) continue;
    const tags = (RepoTags ?? []).filter((tag) => tag !== '<none>:<none>');
    for (const name of tags.length > 0 ? tags : [Id]) await removeImage(docker, name);
  }
}
