/** The images that a database's apps run, and the names by which the engine saves them. */
import type { Docker } from '../docker/connect.ts';
import { findNamesOfImage, tagImage, untagImage } from '../docker/saved-images.ts';
import { keptImageName } from '../labels.ts';
import type { Database } from '../store/database.ts';

export interface LiveImage {
  readonly app: string;
  /** What the release calls it. */
  readonly reference: string;
}

export interface TaggedImage extends LiveImage {
  readonly tag: string;
}

/**
 * Of every release that serves. A deployment that was under way is taken back when forge starts on this database: the
 * releases that may then serve again count too.
 */
export function findLiveImages(db: Database): readonly LiveImage[] {
  const rows = db.all(`
    SELECT DISTINCT r.app, json_extract(r.image, '$.reference') AS reference FROM releases r JOIN apps a ON a.name = r.app
    WHERE r.version = a.current_version OR (
      EXISTS (SELECT 1 FROM deployments d WHERE d.app = a.name AND d.ended_at IS NULL)
      AND r.version IN (SELECT d.version FROM deployments d WHERE d.app = a.name AND d.status = 'succeeded' AND d.version IS NOT NULL ORDER BY d.id DESC LIMIT 2))
    ORDER BY r.app, r.version`);
  return rows.map((row) => ({ app: String(row['app']), reference: String(row['reference']) }));
}

/**
 * Gives each image a name for as long as `use` runs, because the engine keeps no digests with what it saves. One that had
 * no name keeps this one: taking away its only name would remove it. Images that the engine does not have go to `onMissing`.
 */
export async function withTags(docker: Docker, images: readonly LiveImage[], options: { readonly dataId: string; onMissing(image: LiveImage): void; use(tagged: readonly TaggedImage[]): Promise<void> }): Promise<void> {
  const tagged: TaggedImage[] = [];
  const passing: string[] = [];
  try {
    for (const image of images) {
      const tag = keptImageName({ dataId: options.dataId, app: image.app, reference: image.reference });
      const names = await findNamesOfImage(docker, image.reference);
      if (!names) {
        options.onMissing(image);
        continue;
      }
      if (!names.includes(tag)) await tagImage(docker, image.reference, tag);
      if (names.some((name) => name !== tag)) passing.push(tag);
      tagged.push({ ...image, tag });
    }
    await options.use(tagged);
  } finally {
    for (const tag of passing) await untagImage(docker, tag).catch(() => undefined);
  }
}
