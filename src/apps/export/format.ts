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
import type { AppSettings, Formation, Image } from '../../domain.ts';
import { ForgeError } from '../../errors.ts';
import { exportedApp } from './app-schema.ts';

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

export const readExportedApp = (content: Buffer): ExportedApp => parse(exportedApp, content) as unknown as ExportedApp;

export const readEnd = (content: Buffer): { readonly entries: number } => parse(z.object({ entries: z.int().min(0) }), content);

function parse<T>(schema: z.ZodType<T>, content: Buffer): T {
  try {
    return schema.parse(JSON.parse(content.toString('utf8')));
  } catch (error) {
    throw new ForgeError('invalid', 'this is no export that forge can read', { hint: 'expected what forge apps:export printed', cause: error });
  }
}
