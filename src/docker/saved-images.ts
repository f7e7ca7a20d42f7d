/** Images as one stream that any engine can load, layers that several share only once. */
import type { Readable } from 'node:stream';
import { ForgeError, isForgeError } from '../errors.ts';
import { boundedCall } from './bounded-call.ts';
import { type Docker, engineCall } from './connect.ts';
import { removeImage } from './images.ts';
import { readJsonLines } from './json-lines.ts';
import { splitReference } from './local-image.ts';
import { sendArchive } from './send-archive.ts';

/** The images of these tags. The engine writes them to its own disk first. */
export async function saveImages(docker: Docker, tags: readonly string[], signal: AbortSignal): Promise<Readable> {
  return await engineCall('save images', (docker as unknown as Untyped).getImages({ names: tags, abortSignal: signal }), signal);
}

/** dockerode has it, its types do not. */
interface Untyped {
  getImages(options: { readonly names: readonly string[]; readonly abortSignal: AbortSignal }): Promise<Readable>;
}

/** Loads such a stream, with the tags that it was saved by. */
export async function loadImages(docker: Docker, archive: Readable, signal: AbortSignal): Promise<void> {
  const call = (body: Readable) => docker.loadImage(body, { quiet: true, abortSignal: signal });
  const read = async (answer: NodeJS.ReadableStream): Promise<void> => {
    for await (const { error } of readJsonLines<{ readonly error?: string }>(answer as AsyncIterable<Buffer>)) {
      if (error !== undefined) throw new ForgeError('failed', `could not load images: ${error}`);
    }
  };
  await engineCall('load images', sendArchive({ archive, call, read, signal }), signal);
}

/** Gives an image another name, `repository:tag`. Throws `not-found`. */
export async function tagImage(docker: Docker, image: string, name: string): Promise<void> {
  const [repo, tag] = splitReference(name);
  await boundedCall(`tag ${image}`, (abortSignal) => docker.getImage(image).tag({ repo, tag, abortSignal }));
}

/** Names (tags and digests) of an image; `undefined` when the engine has none such. */
export async function findNamesOfImage(docker: Docker, image: string): Promise<readonly string[] | undefined> {
  try {
    const { RepoTags, RepoDigests } = await boundedCall(`look at the image ${image}`, () => docker.getImage(image).inspect());
    return [...(RepoTags ?? []), ...(RepoDigests ?? [])];
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** Takes the name away; the image goes with its last name unless a container uses it. */
export const untagImage = removeImage;
