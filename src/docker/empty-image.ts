/** An image with nothing in it, made in the engine itself: for containers that bring all they need by mounts. */
import { Readable } from 'node:stream';
import { boundedCall } from './bounded-call.ts';
import type { Docker } from './connect.ts';
import { findImage } from './images.ts';
import { readJsonLines } from './json-lines.ts';

const reference = 'forge.local/empty:1';
/** The end mark of a tar without entries. */
const emptyTar = Buffer.alloc(1024);

/** Its reference; made when it is not there. */
export async function ensureEmptyImage(docker: Docker): Promise<string> {
  if (await findImage(docker, reference)) return reference;
  const [repo, tag] = reference.split(':');
  const answer = await boundedCall('make an empty image', () => docker.importImage(Readable.from([emptyTar]), { repo, tag, fromSrc: '-' }) as Promise<unknown>);
  for await (const message of readJsonLines<{ readonly error?: string }>(answer as AsyncIterable<Buffer>)) {
    if (message.error !== undefined) throw new Error(message.error);
  }
  return reference;
}
