/** Builds the app's Dockerfile with BuildKit through the engine's API, or with the classic builder where BuildKit cannot be held to its limits. */
import type { Config } from '../../config.ts';
import type { Docker } from '../../docker/connect.ts';
import { buildImage } from '../../docker/image-build.ts';
import { inspectImage } from '../../docker/images.ts';
import type { Image, Plan } from '../../domain.ts';
import { ForgeError } from '../../errors.ts';
import { labels } from '../../labels.ts';
import { withTimeout } from '../../wait.ts';
import type { Builder, BuildRequest } from '../build-request.ts';
import { imageProcessTypes } from '../process-command.ts';
import { readAppFile } from '../read-app-file.ts';
import { buildArgsOf } from './build-args.ts';
import { explainBuildError } from './build-error.ts';
import { watchBuildMemory } from './build-memory.ts';
import { createBuildProgress } from './build-progress.ts';
import { checkDockerfileSyntax } from './dockerfile-syntax.ts';
import { chooseEngineBuilder } from './engine-builder.ts';
import { imageTag } from './image-tag.ts';
import { openContext } from './docker-context.ts';

export interface DockerfileBuilderOptions {
  readonly docker: Docker;
  /** Id of the data directory, by which its images are found again. */
  readonly dataId: string;
  readonly config: Pick<Config, 'buildMemory' | 'buildTimeout' | 'buildExtraCa' | 'buildHttpProxy' | 'buildHttpsProxy' | 'buildNoProxy'>;
  /** Where the host's control groups are mounted. */
  readonly cgroupDirectory?: string;
}

/** Errors as `Builder.build` says; output that does not end in an image is followed by what failed and why. */
export function createDockerfileBuilder(options: DockerfileBuilderOptions): Builder {
  return {
    name: 'dockerfile',
    async build(request) {
      const seconds = options.config.buildTimeout / 1000;
      return await withTimeout(
        options.config.buildTimeout,
        `the build did not end within its time limit of ${seconds} s (setting buildTimeout)`,
        async (signal) => describeImage(options.docker, await buildDockerfile(options, { ...request, signal }), request.plan),
        request.signal,
      );
    },
  };
}

async function buildDockerfile(options: DockerfileBuilderOptions, request: BuildRequest): Promise<string> {
  const { docker, config, cgroupDirectory = '/sys/fs/cgroup' } = options;
  const { report, source, app } = request;
  checkDockerfileSyntax(readAppFile(source, 'Dockerfile') ?? '');
  const engine = chooseEngineBuilder(cgroupDirectory);
  report.step(`Building the Dockerfile with ${engine.name === 'buildkit' ? 'BuildKit' : 'the classic builder'}`);
  const progress = createBuildProgress();
  const show = (lines: readonly string[]) => lines.forEach((line) => report.body(line));
  using memory = watchBuildMemory({ groups: engine.groups, limitBytes: config.buildMemory, running: () => progress.running(), signal: request.signal });
  try {
    return await buildImage(docker, {
      context: openContext(source),
      dockerfile: 'Dockerfile',
      tag: imageTag(request),
      // Nothing that differs from one deployment to the next: the same source gives the same image.
      labels: { [labels.app]: app, [labels.data]: options.dataId },
      // RUN --mount=type=cache is shared by all builds of an engine unless it is told apart by this.
      buildArgs: { ...buildArgsOf(request, config), ...(engine.name === 'buildkit' ? { BUILDKIT_CACHE_MOUNT_NS: `${options.dataId}-${app}` } : {}) },
      engineBuilder: engine.name,
      memoryBytes: config.buildMemory,
      signal: memory.signal,
      onEvent: async (event) => {
        show(progress.take(event));
        await report.flushed();
      },
    });
  } catch (error) {
    throw explainBuildError(error, { dockerfile: source.files.get('Dockerfile') ?? '', memoryBytes: config.buildMemory, failedStep: progress.failedStep() });
  } finally {
    show(progress.end());
  }
}

async function describeImage(docker: Docker, id: string, plan: Plan): Promise<Image> {
  const facts = await inspectImage(docker, id);
  if (plan.procfile.size === 0 && facts.entrypoint.length + facts.command.length === 0) {
    throw new ForgeError('failed', 'the image has nothing to run: its Dockerfile has neither CMD nor ENTRYPOINT, and there is no Procfile', {
      hint: 'add a CMD to the Dockerfile, such as CMD ["node", "server.js"]',
    });
  }
  return {
    reference: facts.id,
    digest: facts.id,
    builder: plan.builder,
    processTypes: imageProcessTypes(plan.procfile, facts.entrypoint),
    exposedPorts: facts.exposedPorts,
    user: facts.user,
    launcher: undefined,
  };
}
