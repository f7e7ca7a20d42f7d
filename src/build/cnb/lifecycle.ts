/**
 * The lifecycle of Cloud Native Buildpacks: two binaries. The pinned release archive where its checksum is known and the
 * network has it, else compiled from the pinned module in builder/lifecycle; both give the same files.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ArchiveEntry } from '../../docker/archive.ts';
import { ForgeError, isForgeError } from '../../errors.ts';
import type { Report } from '../../report.ts';
import { runProcess } from '../../run-process.ts';
import { keyOf } from '../base-image.ts';
import { downloadRelease } from './download-release.ts';
import { findGo } from './go-toolchain.ts';

const compileTimeoutMs = 15 * 60_000;
/** The phases are one binary under several names. */
const phases = ['analyzer', 'builder', 'creator', 'detector', 'exporter', 'extender', 'rebaser', 'restorer'];
const module = 'github.com/buildpacks/lifecycle';

export interface ReleaseArchive {
  readonly url: string;
  /** Hex; an archive without a recorded checksum is never used. */
  readonly sha256: string;
}

const recipeSchema = z.object({
  version: z.string(),
  commit: z.string(),
  platformApis: z.array(z.string()),
  buildpackApis: z.array(z.string()),
  go: z.object({ least: z.string(), fetch: z.string() }),
  archives: z.record(z.string(), z.object({ url: z.string(), sha256: z.string().nullable() })),
});
export type LifecycleRecipe = z.infer<typeof recipeSchema>;

export interface LifecycleOptions {
  /** builder/lifecycle of this repository. */
  readonly recipeDir: string;
  readonly cacheDir: string;
  /** Instead of the archive that the recipe names. */
  readonly release?: ReleaseArchive;
  /** What the Go tool may see: PATH, HOME, proxies, GO… variables. */
  readonly environment: Readonly<Record<string, string>>;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface Lifecycle {
  readonly recipe: LifecycleRecipe;
  /** Holds `lifecycle` and `launcher`. */
  readonly directory: string;
  /** Changes whenever the binaries may. */
  readonly key: string;
}

/** Makes the lifecycle unless the cache has it. Throws `unavailable` when it can be neither downloaded nor compiled here. */
export async function acquireLifecycle(options: LifecycleOptions): Promise<Lifecycle> {
  const { recipeDir, cacheDir, report } = options;
  const recipe = readRecipe(recipeDir);
  const sources = ['go.mod', 'go.sum', 'tools.go', 'release.json'].map((name) => readFileSync(join(recipeDir, name), 'utf8'));
  const release = options.release ?? recordedArchive(recipe);
  const key = keyOf({ sources, arch: process.arch, sha256: release?.sha256 }).slice(0, 16);
  const directory = join(cacheDir, 'lifecycle', `${recipe.version}-${key}`);
  if (existsSync(directory)) return { recipe, directory, key };

  const aside = `${directory}.${randomBytes(6).toString('hex')}.part`;
  await mkdir(aside, { recursive: true });
  try {
    if (!(release && (await tryDownload({ release, aside, options })))) {
      report.step(`Compiling the buildpacks lifecycle ${recipe.version} (a minute or more, once)`);
      await compile({ recipe, aside, options });
    }
    await moveInto(aside, directory);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return { recipe, directory, key };
}

/** The tree /cnb/lifecycle as archive entries. */
export async function lifecycleEntries({ directory, recipe }: Lifecycle): Promise<ArchiveEntry[]> {
  const [lifecycle, launcher] = await Promise.all(['lifecycle', 'launcher'].map((name) => readFile(join(directory, name))));
  if (!lifecycle || !launcher) throw new Error('the cache holds no lifecycle');
  return [
    { path: 'cnb/lifecycle/' },
    { path: 'cnb/lifecycle/lifecycle', content: lifecycle, mode: 0o755 },
    { path: 'cnb/lifecycle/launcher', content: launcher, mode: 0o755 },
    ...phases.map((phase) => ({ path: `cnb/lifecycle/${phase}`, linkTo: 'lifecycle' })),
    { path: 'cnb/lifecycle/lifecycle.toml', content: descriptor(recipe) },
  ];
}

/** lifecycle.toml as upstream packages it: https://github.com/buildpacks/rfcs/blob/main/text/0049-multi-api-lifecycle-descriptor.md */
export function descriptor(recipe: LifecycleRecipe): string {
  const list = (values: readonly string[]): string => `[${values.map((value) => JSON.stringify(value)).join(', ')}]`;
  return [
    '[apis]',
    '[apis.buildpack]',
    '  deprecated = []',
    `  supported = ${list(recipe.buildpackApis)}`,
    '[apis.platform]',
    '  deprecated = []',
    `  supported = ${list(recipe.platformApis)}`,
    '',
    '[api]',
    `  platform = ${JSON.stringify(recipe.platformApis[0])}`,
    `  buildpack = ${JSON.stringify(recipe.buildpackApis[0])}`,
    '',
    '[lifecycle]',
    `  version = ${JSON.stringify(recipe.version)}`,
    `  sbom-formats = ${list(['application/vnd.cyclonedx+json', 'application/spdx+json', 'application/vnd.syft+json'])}`,
    '',
  ].join('\n');
}

export const readRecipe = (recipeDir: string): LifecycleRecipe => recipeSchema.parse(JSON.parse(readFileSync(join(recipeDir, 'release.json'), 'utf8')));

/** argv of the two compilations. */
export function goBuildArgs(recipe: Pick<LifecycleRecipe, 'version' | 'commit'>, outDir: string): string[] {
  const set = (name: string, value: string): string => `-X ${module}/cmd.${name}=${value}`;
  const flags = ['-s -w', set('Version', recipe.version), set('SCMCommit', recipe.commit.slice(0, 8)), set('SCMRepository', module)].join(' ');
  return ['build', '-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', flags, '-o', `${outDir}/`, `${module}/cmd/lifecycle`, `${module}/cmd/launcher`];
}

function recordedArchive(recipe: LifecycleRecipe): ReleaseArchive | undefined {
  const archive = recipe.archives[process.arch];
  return archive?.sha256 ? { url: archive.url, sha256: archive.sha256 } : undefined;
}

async function tryDownload(task: { release: ReleaseArchive; aside: string; options: LifecycleOptions }): Promise<boolean> {
  const { release, aside, options } = task;
  try {
    await downloadRelease(release, { files: ['lifecycle', 'launcher'], directory: aside, signal: options.signal });
    options.report.step('Using the release archive of the buildpacks lifecycle');
    return true;
  } catch (error) {
    if (!isForgeError(error) || error.code !== 'unavailable') throw error;
    options.report.body(`${error.message}; compiling it instead`);
    return false;
  }
}

async function compile(task: { recipe: LifecycleRecipe; aside: string; options: LifecycleOptions }): Promise<void> {
  const { recipe, aside, options } = task;
  const go = await findGo({ ...recipe.go, cacheDir: options.cacheDir, environment: options.environment, signal: options.signal });
  const env = { ...options.environment, CGO_ENABLED: '0', GOOS: 'linux', GOTOOLCHAIN: 'local', GOFLAGS: '' };
  const { exitCode, stderr } = await runProcess(go, goBuildArgs(recipe, aside), { cwd: options.recipeDir, env, signal: options.signal, timeoutMs: compileTimeoutMs });
  if (exitCode !== 0) {
    throw new ForgeError('unavailable', `could not compile the buildpacks lifecycle ${recipe.version} (exit status ${exitCode})`, {
      details: stderr.trimEnd().split('\n').slice(-20),
      hint: 'this needs a Go module proxy that the machine can reach (GOPROXY)',
    });
  }
}

/** Another process may have been faster; its result is as good. */
async function moveInto(aside: string, directory: string): Promise<void> {
  try {
    await rename(aside, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
  }
}
