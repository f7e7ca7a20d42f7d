/**
 * The file of a backup: a tar, compressed with zstd. `forge-backup.json` comes first, then everything, then
 * `contents.json` with the checksums of it all: a file without it is not whole.
 *
 *   data/…                files of the data directory, repositories and forge.db among them
 *   images/000001 …       what the engine saved, in pieces to be put together
 *   volumes/<name>/000001 …  a tar of the volume, in pieces likewise; copied again, volumes/<name>.2/…
 */
import { z } from 'zod';

/** Counts up when an older forge could not read what a newer one writes. */
export const formatNumber = 1;
export const headName = 'forge-backup.json';
export const contentsName = 'contents.json';
export const dataFolder = 'data';
export const imagesFolder = 'images';
export const volumesFolder = 'volumes';

export const head = z.object({
  format: z.number().int(),
  forge: z.string(),
  schema: z.number().int(),
  domain: z.string(),
  createdAt: z.string(),
});
export type BackupHead = z.infer<typeof head>;

const entry = z.object({ sha256: z.string(), bytes: z.number().int() });

export const contents = z.object({
  apps: z.array(z.string()),
  /** `reference` is what releases call it, `tag` what it was saved by. */
  images: z.array(z.object({ reference: z.string(), tag: z.string() })),
  /** `folder` is where its pieces are, unless that is `volumes/<engineName>`. What lies below others was not copied whole. */
  volumes: z.array(z.object({ app: z.string(), name: z.string(), engineName: z.string(), folder: z.string().optional() })),
  /** What should be in it and could not be had, in words. */
  missing: z.array(z.string()),
  entries: z.record(z.string(), entry),
});
export type BackupContents = z.infer<typeof contents>;
