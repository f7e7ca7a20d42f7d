/** Everything that the build container gets, as one tar for /. */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import tar from 'tar-stream';
import { type ArchiveEntry, type Owner, repackOwned, writeEntry } from '../../docker/archive.ts';

/**
 * The volumes' roots and the source owned by the builder's user, then the platform's files. An entry for a volume's own
 * folder sets its owner, which is how a new cache volume becomes writable without root.
 */
export function packSource(options: {
  readonly sourceTar: string;
  readonly isWanted: (path: string) => boolean;
  readonly entries: readonly ArchiveEntry[];
  readonly owner: Owner;
  readonly signal: AbortSignal;
}): Readable {
  const { sourceTar, isWanted, entries, owner, signal } = options;
  const pack = tar.pack();
  const fill = async (): Promise<void> => {
    for (const path of ['layers/', 'workspace/', 'cache/']) await writeEntry(pack, { path, ...owner });
    for (const entry of entries) await writeEntry(pack, entry);
    await repackOwned(createReadStream(sourceTar), pack, { prefix: 'workspace/', owner, isWanted, signal });
    pack.finalize();
  };
  fill().catch((error: unknown) => pack.destroy(error as Error));
  return Readable.from(pack);
}
