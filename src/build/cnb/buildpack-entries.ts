/** This repository's buildpacks as files of a builder image. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { z } from 'zod';
import type { ArchiveEntry } from '../../docker/archive.ts';

export interface BuildpackFacts {
  readonly id: string;
  readonly version: string;
}

const descriptorSchema = z.object({ buildpack: z.object({ id: z.string(), version: z.string() }) });
/** Not part of a buildpack that runs. */
const leftOut = new Set(['test', 'tests', '__pycache__', 'README.md', '.gitignore']);

/**
 * Every buildpack below the folder at /cnb/buildpacks/<id>/<version>, and the folder's order.toml. Links are followed:
 * what buildpacks share is copied into each.
 */
export function buildpackEntries(folder: string): { buildpacks: BuildpackFacts[]; entries: ArchiveEntry[]; order: string } {
  const names = readdirSync(folder).sort().filter((name) => statSync(join(folder, name, 'buildpack.toml'), { throwIfNoEntry: false })?.isFile());
  const buildpacks: BuildpackFacts[] = [];
  const entries: ArchiveEntry[] = [];
  for (const name of names) {
    const { id, version } = descriptorSchema.parse(parse(readFileSync(join(folder, name, 'buildpack.toml'), 'utf8'))).buildpack;
    buildpacks.push({ id, version });
    entries.push(...walk(join(folder, name), `cnb/buildpacks/${id.replaceAll('/', '_')}/${version}`));
  }
  return { buildpacks, entries, order: readFileSync(join(folder, 'order.toml'), 'utf8') };
}

/** Modes are reduced to "executable or not", so that the umask of a checkout makes no difference. */
function walk(directory: string, target: string): ArchiveEntry[] {
  const entries: ArchiveEntry[] = [{ path: `${target}/` }];
  for (const name of readdirSync(directory).sort()) {
    if (leftOut.has(name)) continue;
    const path = join(directory, name);
    const stat = statSync(path);
    if (stat.isDirectory()) entries.push(...walk(path, `${target}/${name}`));
    else if (stat.isFile()) entries.push({ path: `${target}/${name}`, content: readFileSync(path), mode: stat.mode & 0o100 ? 0o755 : 0o644 });
  }
  return entries;
}
