/** The tar that a Docker build gets: the source without what .dockerignore leaves out (the engine does not read it for a plain tar). */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Source } from '../../domain.ts';
import { rewriteTar } from '../rewrite-tar.ts';
import { parseDockerignore } from './dockerignore.ts';

/** A stream that the caller reads to its end or destroys. Reading errors arrive on it. */
export function openContext(source: Source): Readable {
  const isIgnored = parseDockerignore(source.files.get('Dockerfile.dockerignore') ?? source.files.get('.dockerignore') ?? '');
  if (!isIgnored) return createReadStream(source.tarPath);
  // The builder needs these even when they are ignored.
  const needed = new Set(['', 'Dockerfile', '.dockerignore']);
  return rewriteTar(source.tarPath, {
    each: async (entry, pack) => {
      const path = entry.header.name.replace(/^\.\//, '').replace(/\/$/, '');
      if (!needed.has(path) && isIgnored(path)) entry.resume();
      else await pipeline(entry, pack.entry(entry.header));
    },
  });
}
