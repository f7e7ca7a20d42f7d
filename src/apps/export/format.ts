/**
 * The file of an export: a tar. `forge-export.json` comes first and is plain; every other entry is sealed under the passphrase
 * (seal.ts). The order is fixed, and `end` holds how many entries came before: a file without it is not whole.
 *
 *   app                       config, settings, formation, what the live release is
 *   repository/000000 …       a git bundle, in pieces to be put together
 *   image/000000 …            what `docker save` gives, in pieces likewise
 *   volumes/<name>/000000 …   a tar of the volume, in pieces likewise
 */
import { z } from 'zod';
import type { AppFile } from '../../app-file.ts';
import { builderNames, strategies, type AppSettings, type Formation, type Image } from '../../domain.ts';
import { ForgeError } from '../../errors.ts';
import { parseBranch, parseEnvKey, parseMountPath, parseProcessType, parseVolumeName } from '../../names.ts';

/** Counts up when an older forge could not read what a newer one writes. */
export const formatNumber = 1;
export const headName = 'forge-export.json';
export const appName = 'app';
export const endName = 'end';
export const repositorySection = 'repository';
export const imageSection = 'image';
export const volumeSection = (name: string): string => `volumes/${name}`;
/** Of an entry before it is sealed. */
export const pieceBytes = 4 * 1024 * 1024;
/** Of the entries that are no pieces: what stands in them is small. */
export const maxAppBytes = 64 * 1024 * 1024;

const head = z.object({ format: z.number().int(), forge: z.string(), app: z.string(), createdAt: z.string(), salt: z.string().max(100) });
export type ExportHead = z.infer<typeof head>;

const words = z.array(z.string()).optional();
const count = z.number().int().nonnegative();
const limits = z.object({ memoryBytes: count, cpuShares: count, pids: count });
const image = z.looseObject({
  reference: z.string(),
  digest: z.string(),
  builder: z.enum(builderNames),
  processTypes: z.record(z.string().overwrite(parseProcessType), z.object({ entrypoint: words, command: words })),
  exposedPorts: z.array(z.number().int()),
  user: z.string(),
  launcher: z.string().optional(),
});
const settings = z.looseObject({
  strategy: z.enum(strategies).optional(),
  port: z.number().int().min(1).max(65_535).optional(),
  buildArgs: z.array(z.string().overwrite(parseEnvKey)).optional(),
  mounts: z.array(z.object({ volume: z.string().overwrite(parseVolumeName), path: z.string().overwrite(parseMountPath) })).optional(),
});
const exported = z.object({
  deployBranch: z.string().overwrite(parseBranch).optional(),
  config: z.record(z.string().overwrite(parseEnvKey), z.string()),
  settings,
  formation: z.record(z.string().overwrite(parseProcessType), z.object({ quantity: count.max(1000), limits })),
  volumes: z.array(z.string().overwrite(parseVolumeName)),
  /** Commits at which the history of the repository was cut off. */
  shallow: z.array(z.string().regex(/^[0-9a-f]{40,64}$/)),
  release: z.object({ version: z.number().int(), reason: z.string(), port: z.number().int().min(1).max(65_535), commit: z.string().optional(), imageId: z.string().optional(), image, appFile: z.looseObject({}) }).optional(),
});

/** All that is neither code nor files. */
export interface ExportedApp {
  readonly deployBranch: string | undefined;
  readonly config: Readonly<Record<string, string>>;
  readonly settings: AppSettings;
  readonly formation: Formation;
  readonly volumes: readonly string[];
  readonly shallow: readonly string[];
  readonly release:
    | {
        readonly version: number;
        readonly reason: string;
        readonly port: number;
        readonly commit: string | undefined;
        /** `undefined`: the image is not in the file. */
        readonly imageId: string | undefined;
        readonly image: Image;
        readonly appFile: AppFile;
      }
    | undefined;
}

/** Throws `invalid` for what is no head, or one of a newer forge. */
export function readHead(content: Buffer): ExportHead {
  const found = parse(head, content);
  if (found.format <= formatNumber) return found;
  throw new ForgeError('invalid', `the export was made by a newer forge (${found.forge.slice(0, 40)})`, { hint: 'import it there, or install that version' });
}

export const readExportedApp = (content: Buffer): ExportedApp => parse(exported, content) as unknown as ExportedApp;

export const readEnd = (content: Buffer): { readonly entries: number } => parse(z.object({ entries: count }), content);

function parse<T>(schema: z.ZodType<T>, content: Buffer): T {
  try {
    return schema.parse(JSON.parse(content.toString('utf8')));
  } catch (error) {
    throw new ForgeError('invalid', 'this is no export that forge can read', { hint: 'expected what forge apps:export printed', cause: error });
  }
}
