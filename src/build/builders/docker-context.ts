/** The tar that a Docker build gets: the source without what .dockerignore leaves out (the engine does not read it for a plain tar). */
import { createReadStream } from 'node:fs';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract as tarExtract, pack as tarPack } from 'tar-stream';
import type { Source } from '../../domain.ts';
import { parseDockerignore } from './dockerignore.ts';

/** A stream that the caller reads to its end or destroys. Reading errors arrive on it. */
export function openContext(source: Source): Readable {
  const isIgnored = parseDockerignore(source.files.get('Dockerfile.dockerignore') ?? source.files.get('.dockerignore') ?? '');
  if (!isIgnored) return createReadStream(source.tarPath);
  // The builder needs these two even when they are ignored.
  const needed = new Set(['', 'Dockerfile', '.dockerignore']);
  return filterTar(source.tarPath, (path) => !needed.has(path) && isIgnored(path));
}

function filterTar(path: string, isLeftOut: (path: string) => boolean): Readable {
  const output = new PassThrough();
  const pack = tarPack();
  const extract = tarExtract();
  const fail = (error: unknown): void => {
    extract.destroy();
    pack.destroy();
    output.destroy(error as Error);
  };
  const copy = async (): Promise<void> => {
    for await (const entry of extract) {
      const { header } = entry;
      if (isLeftOut(header.name.replace(/^\.\//, '').replace(/\/$/, ''))) entry.resume();
      else await pipeline(entry, pack.entry(header));
    }
    pack.finalize();
  };
  pipeline(createReadStream(path), extract).catch(fail);
  copy().catch(fail);
  pipeline(pack, output).catch(fail);
  return output;
}
