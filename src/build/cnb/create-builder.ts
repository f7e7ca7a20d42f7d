/** `forge builder:create`: run image, build image and lifecycle made on this machine, put together as a builder image. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { ArchiveEntry } from '../../docker/archive.ts';
import { type Docker, engineCall } from '../../docker/connect.ts';
import { findImageByLabel, layerImage } from '../../docker/local-image.ts';
import type { Report } from '../../report.ts';
import { type BaseImage, hashEntries, keyOf, makeBaseImage } from '../base-image.ts';
import { type BuildpackFacts, buildpackEntries } from './buildpack-entries.ts';
import { makeStaticServer } from '../builders/static-server.ts';
import { makeRegistryImage } from './registry-image.ts';
import { packageSources } from './package-sources.ts';
import { acquireLifecycle, type Lifecycle, lifecycleEntries, type LifecycleRecipe, type ReleaseArchive } from './lifecycle.ts';

/** What builds use when the setting says `local`. */
export const localBuilder = 'forge.local/builder:latest';

const imageRecipe = z.object({ variant: z.enum(['essential', 'minbase']), packages: z.array(z.string()) });
const recipeSchema = z.object({
  user: z.object({ name: z.string(), uid: z.number(), gid: z.number() }),
  run: imageRecipe,
  build: imageRecipe,
});
type Recipe = z.infer<typeof recipeSchema>;

export interface CreateBuilderOptions {
  readonly docker: Docker;
  /** Folder of this repository: its `builder/` and `buildpacks/` go in. */
  readonly root: string;
  readonly cacheDir: string;
  /** Release of the distribution; default: the host's. */
  readonly suite?: string;
  /** Archive of the lifecycle instead of the recorded one. */
  readonly release?: ReleaseArchive;
  /** What compiling may see: PATH, HOME, proxies, GO… variables. */
  readonly environment: Readonly<Record<string, string>>;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface CreatedBuilder {
  /** `forge.local/builder:<key of its inputs>`; `localBuilder` names the same image. */
  readonly reference: string;
  readonly id: string;
  readonly runImage: string;
  /** Whether anything had to be made. */
  readonly isNew: boolean;
}

/**
 * Makes the builder unless nothing that goes in has changed since (then: milliseconds), and the images of the registry and
 * the static server. The costly parts are made at the same time and kept in the cache directory. Throws `unavailable` saying what the machine lacks.
 */
export async function createBuilder(options: CreateBuilderOptions): Promise<CreatedBuilder> {
  const { docker, root, report } = options;
  const recipe = recipeSchema.parse(JSON.parse(readFileSync(join(root, 'builder', 'recipe.json'), 'utf8')));
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const parts = { ...options, signal };
  const work = [
    acquireLifecycle({ ...parts, recipeDir: join(root, 'builder', 'lifecycle') }),
    makeRunImage(recipe, parts),
    makeBuildImage(recipe, parts),
    // What forge itself runs for builds: its service may not be able to make images.
    makeRegistryImage(parts),
    makeStaticServer(parts),
  ] as const;
  const [lifecycle, run, build] = await allOrStop(work, stop);

  const packs = buildpackEntries(join(root, 'buildpacks'));
  const sources = await packageSources({ environment: options.environment, signal });
  const key = keyOf({ lifecycle: lifecycle.key, run: run.reference, build: build.reference, packs: hashEntries(packs.entries), order: packs.order, sources });
  const reference = `forge.local/builder:${key.slice(0, 16)}`;
  const found = await findImageByLabel(docker, reference, { 'forge.builder': key }, signal);
  const id = found ?? (await putTogether({ recipe, lifecycle, run, build, packs, sources, reference, key, options }));
  await engineCall('name the builder', docker.getImage(id).tag({ repo: 'forge.local/builder', tag: 'latest' }), signal);
  if (!found) report.step(`Made the builder ${reference}: ${packs.buildpacks.map(({ id: name }) => name).join(', ')}`);
  return { reference, id, runImage: run.reference, isNew: !found };
}

interface Parts {
  readonly recipe: Recipe;
  readonly lifecycle: Lifecycle;
  readonly run: BaseImage;
  readonly build: BaseImage;
  readonly packs: { buildpacks: BuildpackFacts[]; entries: ArchiveEntry[]; order: string };
  /** Variables that every build has unless it sets its own. */
  readonly sources: Readonly<Record<string, string>>;
  readonly reference: string;
  readonly key: string;
  readonly options: CreateBuilderOptions;
}

async function putTogether({ recipe, lifecycle, run, build, packs, sources, reference, key, options }: Parts): Promise<string> {
  const { uid, gid } = recipe.user;
  const runToml = `[[images]]\nimage = ${JSON.stringify(run.reference)}\n`;
  const entries: ArchiveEntry[] = [
    { path: 'cnb/' },
    { path: 'cnb/buildpacks/' },
    ...packs.entries,
    ...(await lifecycleEntries(lifecycle)),
    { path: 'cnb/order.toml', content: packs.order },
    { path: 'cnb/run.toml', content: runToml },
    { path: 'cnb/build-config/env/' },
    ...Object.entries(sources).map(([name, value]): ArchiveEntry => ({ path: `cnb/build-config/env/${name}.default`, content: value })),
    { path: 'layers/', uid, gid },
    { path: 'workspace/', uid, gid },
    { path: 'platform/env/' },
  ];
  return await layerImage(options.docker, {
    base: build.id,
    reference,
    entries,
    users: [],
    config: { workingDir: '/layers', labels: { 'forge.builder': key, 'io.buildpacks.builder.metadata': builderMetadata(run.reference, packs.buildpacks, lifecycle.recipe) } },
    signal: options.signal,
  });
}

/** The label that platforms read: https://github.com/buildpacks/spec/blob/main/extensions/ and pack's builder format. */
export function builderMetadata(runImage: string, buildpacks: readonly BuildpackFacts[], lifecycle: LifecycleRecipe): string {
  const apis = {
    buildpack: { deprecated: [], supported: lifecycle.buildpackApis },
    platform: { deprecated: [], supported: lifecycle.platformApis },
  };
  return JSON.stringify({
    description: 'Builder made by forge on this machine',
    images: [{ image: runImage, mirrors: [] }],
    stack: { runImage: { image: runImage, mirrors: [] } },
    buildpacks,
    lifecycle: { version: lifecycle.version, api: { buildpack: apis.buildpack.supported[0], platform: apis.platform.supported[0] }, apis },
    createdBy: { name: 'forge' },
  });
}

const makeRunImage = (recipe: Recipe, options: CreateBuilderOptions): Promise<BaseImage> => makeBaseImage({ ...options, ...recipe.run, name: 'run', setup: setupOf(recipe, options) });

const makeBuildImage = (recipe: Recipe, options: CreateBuilderOptions): Promise<BaseImage> => makeBaseImage({ ...options, ...recipe.build, name: 'build', setup: setupOf(recipe, options) });

function setupOf({ user }: Recipe, { suite }: CreateBuilderOptions) {
  const host = readFileSync('/etc/os-release', 'utf8');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(host)?.[1] ?? '';
  const ids = { CNB_USER_ID: String(user.uid), CNB_GROUP_ID: String(user.gid) };
  return {
    users: [{ ...user, home: `/home/${user.name}` }],
    config: {
      user: `${user.uid}:${user.gid}`,
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', HOME: `/home/${user.name}`, ...ids },
      labels: {
        'io.buildpacks.base.id': `forge.local.${suite ?? field('VERSION_CODENAME')}`,
        'io.buildpacks.base.distro.name': field('ID'),
        'io.buildpacks.base.distro.version': field('VERSION_ID'),
      },
    },
  };
}

/** All results, or the first failure once the others have been told to stop and have ended. */
async function allOrStop<const T extends readonly Promise<unknown>[]>(work: T, stop: AbortController) {
  try {
    return await Promise.all(work);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(work);
    throw error;
  }
}
