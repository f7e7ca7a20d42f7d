/** The builder for Cloud Native Buildpacks: the real lifecycle with forge's own builder or any other. */
import ignore from 'ignore';
import type { Docker } from '../../docker/connect.ts';
import { inspectImage } from '../../docker/images.ts';
import { ensurePlainNetwork } from '../../docker/plain-network.ts';
import { pullDigest } from '../../docker/registry-images.ts';
import { findVolumes, removeVolume } from '../../docker/volumes.ts';
import { type Config, formatSize } from '../../config.ts';
import type { Image } from '../../domain.ts';
import { buildCacheLabel, labels } from '../../labels.ts';
import { untilAborted, withDeadline, withTimeout } from '../../wait.ts';
import type { Builder, BuildRequest } from '../build-request.ts';
import { keyOf } from '../base-image.ts';
import type { BuilderFacts } from '../cnb/builder-facts.ts';
import type { BuildPlace } from '../cnb/phase-spec.ts';
import { buildVariables, orderFor, orderPath, platformEntries, proxyVariables, readBundle } from '../cnb/platform-files.ts';
import { launcherPath, readProcessTypes } from '../cnb/process-types.ts';
import type { Registry } from '../cnb/registry.ts';
import { createRunImages, findBuilder } from '../cnb/run-image.ts';
import { runPhases } from '../cnb/run-phases.ts';
import { sweepBuilds } from '../cnb/sweep-builds.ts';
import type { TurnLock } from '../cnb/turn-lock.ts';
import { type ProjectToml, parseProjectToml } from '../project-toml.ts';

const forgetTimeoutMs = 120_000;
const sweepTimeoutMs = 60_000;

export interface CnbBuilderOptions {
  readonly docker: Docker;
  readonly dataId: string;
  readonly config: Pick<Config, 'builder' | 'buildMemory' | 'buildTimeout' | 'buildExtraCa' | 'buildHttpProxy' | 'buildHttpsProxy' | 'buildNoProxy'>;
  readonly registry: Registry;
  /** Shared with the registry: no garbage collection during a build. */
  readonly lock: TurnLock;
}

export interface CnbBuilder extends Builder {
  /** Forgets what builds of the app left for the next one. */
  removeApp(app: string, keep: ReadonlySet<string>): Promise<void>;
  /** Removes what builds left behind when forge or the engine ended in the middle; waits for builds under way, and new ones wait for it. */
  sweep(): Promise<void>;
  /** Resolves when no build leaves anything to clean up. */
  settled(): Promise<void>;
}

export function createCnbBuilder(options: CnbBuilderOptions): CnbBuilder {
  const { docker, dataId, lock } = options;
  const runImages = createRunImages();
  /** By app: the export of the last build, which may still be filling the cache that the next one reads. */
  const finishing = new Map<string, Promise<void>>();

  const settled = async (): Promise<void> => void (await Promise.all(finishing.values()));

  const build = async (request: BuildRequest): Promise<Image> => {
    const { buildTimeout } = options.config;
    using signal = withDeadline(buildTimeout, `the build took longer than its limit of ${buildTimeout / 60_000} min`, request.signal);
    await untilAborted(Promise.allSettled([finishing.get(request.app)]), signal);
    const prepared = await prepare({ options, request, runImages, signal });
    const { digest, finished } = await runPhases({ docker, ...prepared, sourceTar: request.source.tarPath, report: request.report, signal });
    track(finishing, request.app, finished);
    const image = `${prepared.place.registry.host}/${repositoryOf(request.app)}@${digest}`;
    await pullDigest(docker, { reference: image, login: prepared.place.registry.login, signal });
    return await readImage(docker, { reference: image, digest, request });
  };

  return {
    name: 'cnb',
    build: (request) => lock.shared(request.signal, () => build(request)),
    removeApp: async (app, keep) => {
      await finishing.get(app);
      const volumes = await findVolumes(docker, cacheLabels(dataId, app));
      await Promise.all(volumes.map((volume) => removeVolume(docker, volume)));
      await withTimeout(forgetTimeoutMs, `forgetting the images of ${app} took too long`, (signal) => options.registry.forget(`${repositoryOf(app)}:latest`, signal, keep));
    },
    sweep: async () => {
      using signal = withDeadline(options.config.buildTimeout + sweepTimeoutMs, 'builds under way did not end in time');
      await lock.alone(signal, async () => {
        await settled();
        await withTimeout(sweepTimeoutMs, 'the Docker Engine did not remove what builds left in time', () => sweepBuilds(docker, dataId));
      });
    },
    settled,
  };
}

interface Preparation {
  readonly options: CnbBuilderOptions;
  readonly request: BuildRequest;
  readonly runImages: ReturnType<typeof createRunImages>;
  readonly signal: AbortSignal;
}

/** Everything that is decided before a container exists. */
async function prepare({ options, request, runImages, signal }: Preparation) {
  const { docker, dataId, config } = options;
  const { app, report } = request;
  const project = parseProjectToml(request.source.files.get('project.toml') ?? '');
  const bundle = readBundle(config.buildExtraCa);
  const network = `forge-build-${dataId.slice(0, 12)}`;
  const [registry, builder] = await Promise.all([
    options.registry.ensure(signal),
    findBuilder(config.builder, { docker, report, signal }),
    ensurePlainNetwork(docker, { name: network, labels: { [labels.data]: dataId, 'forge.role': 'build' }, hasNeighbours: false }),
  ]);
  report.step(`Building with buildpacks (${builder.reference}, limit ${formatSize(config.buildMemory)}, ${config.buildTimeout / 60_000} min)`);
  const order = orderFor(project.buildpacks, builder.buildpacks);
  const place: BuildPlace = {
    app,
    deploymentId: request.deploymentId,
    builder,
    registry,
    image: `${registry.host}/${repositoryOf(app)}:latest`,
    runImage: await runImages.publish(builder.runImage, registry, { docker, report, signal }),
    layersVolume: `forge-layers-${request.deploymentId}`,
    workspaceVolume: `forge-workspace-${request.deploymentId}`,
    cacheVolume: cacheVolumeOf({ dataId, app, builder }),
    network,
    labels: buildLabels(dataId, app),
    cacheLabels: cacheLabels(dataId, app),
    memoryBytes: config.buildMemory,
    proxies: proxyVariables(config),
    hasOrder: order === undefined ? undefined : orderPath,
  };
  const variables = buildVariables({ origin: request.origin, projectEnv: project.env, config: request.config, hasBundle: bundle !== undefined });
  const entries = platformEntries({ variables, bundle, order, uid: builder.uid, gid: builder.gid });
  return { place, entries, isWanted: wantedBy(project) };
}

async function readImage(docker: Docker, options: { reference: string; digest: string; request: BuildRequest }): Promise<Image> {
  const { reference, digest, request } = options;
  const { labels, exposedPorts, user } = await inspectImage(docker, reference);
  return {
    reference,
    digest,
    builder: 'cnb',
    processTypes: readProcessTypes(labels['io.buildpacks.build.metadata'], request.plan.procfile),
    exposedPorts,
    user,
    launcher: launcherPath,
  };
}

/** project.toml's include or exclude patterns, as .gitignore reads them. */
export function wantedBy({ include, exclude }: Pick<ProjectToml, 'include' | 'exclude'>): (path: string) => boolean {
  if (include.length > 0) {
    const patterns = ignore().add([...include]);
    return (path) => path.endsWith('/') || patterns.ignores(path);
  }
  if (exclude.length === 0) return () => true;
  const patterns = ignore().add([...exclude]);
  return (path) => !patterns.ignores(path);
}

const repositoryOf = (app: string): string => `apps/${app}`;
const buildLabels = (dataId: string, app: string): Record<string, string> => ({ [labels.data]: dataId, [labels.build]: app });
const cacheLabels = (dataId: string, app: string): Record<string, string> => ({ [labels.data]: dataId, [buildCacheLabel]: app });

/** Another user could not write to it, and another family of builders could not use what is in it. */
function cacheVolumeOf({ dataId, app, builder }: { dataId: string; app: string; builder: BuilderFacts }): string {
  const family = builder.reference.replace(/[:@][^/]*$/, '');
  return `forge-cache-${dataId.slice(0, 12)}-${app}-${keyOf({ family, uid: builder.uid }).slice(0, 8)}`;
}

function track(finishing: Map<string, Promise<void>>, app: string, finished: Promise<void>): void {
  const entry = finished.then(() => {
    if (finishing.get(app) === entry) finishing.delete(app);
  });
  finishing.set(app, entry);
}
