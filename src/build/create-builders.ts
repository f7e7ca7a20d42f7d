/** The builders that forge has, one for every name, and the registry that buildpacks export to. */
import type { Config } from '../config.ts';
import type { Docker } from '../docker/connect.ts';
import { removeLabelledImages } from '../docker/labelled-images.ts';
import { removeRepository } from '../docker/images.ts';
import { findNamesOfImage } from '../docker/saved-images.ts';
import { keptImageName, keptRepository, labels } from '../labels.ts';
import type { Log } from '../log.ts';
import { createReport } from '../report.ts';
import { withDeadline } from '../wait.ts';
import type { Builders } from './build-request.ts';
import { createCnbBuilder } from './builders/cnb.ts';
import { createDockerfileBuilder } from './builders/dockerfile.ts';
import { createImageBuilder } from './builders/image.ts';
import { createStaticBuilder } from './builders/static.ts';
import { createRegistry } from './cnb/registry.ts';
import { sweepBuilds } from './cnb/sweep-builds.ts';
import { createTurnLock } from './cnb/turn-lock.ts';

/** How long tidying waits for a build: others would wait behind it. */
const lockTimeoutMs = 15_000;

export interface BuilderParts {
  readonly docker: Docker;
  readonly config: Config;
  readonly dataId: string;
  readonly log: Log;
}

export interface CreatedBuilders {
  readonly builders: Builders;
  /** Removes what builds of the app keep for the next one, and its images but those that other apps have, named by reference. */
  forgetBuilds(app: string, keep: ReadonlySet<string>): Promise<void>;
  /** Removes what builds left behind when forge was killed, or the engine went away, in the middle. */
  sweep(): Promise<void>;
  /** Resolves when no build leaves anything to clean up. */
  settled(): Promise<void>;
  /** Removes containers and volumes that builds left, and from the registry what no app's newest image needs; see `Registry.collectGarbage`. */
  tidy(signal: AbortSignal, isApp: (name: string) => boolean): Promise<void>;
}

export function createBuilders({ docker, config, dataId, log }: BuilderParts): CreatedBuilders {
  const lock = createTurnLock();
  const registry = createRegistry({ docker, dataId, data: config.data, cacheDir: config.cacheDir, port: config.registryPort, lock, report: createReport([]), log });
  const cnb = createCnbBuilder({ docker, dataId, config, registry, lock });
  return {
    builders: {
      cnb,
      dockerfile: createDockerfileBuilder({ docker, dataId, config }),
      static: createStaticBuilder({ docker, dataId, config }),
      image: createImageBuilder({ docker, config }),
    },
    forgetBuilds: async (app, keep) => {
      await cnb.removeApp(app, keep);
      await removeLabelledImages(docker, [`${labels.app}=${app}`, `${labels.data}=${dataId}`], keep);
      await removeRepository(docker, keptRepository({ dataId, app }), await lastNames({ app, references: keep }, { docker, dataId }));
    },
    sweep: cnb.sweep,
    settled: cnb.settled,
    tidy: async (signal, isApp) => {
      using patience = withDeadline(lockTimeoutMs, 'a build is under way', signal);
      await lock.alone(patience, async () => {
        await cnb.settled();
        await sweepBuilds(docker, dataId);
      });
      await registry.collectGarbage(signal, isApp);
    },
  };
}

/** Of images that other apps run: an app that had this name before and was renamed may run one that has no other name. */
async function lastNames({ app, references }: { readonly app: string; readonly references: ReadonlySet<string> }, { docker, dataId }: Pick<BuilderParts, 'docker' | 'dataId'>): Promise<ReadonlySet<string>> {
  const last = new Set<string>();
  for (const reference of references) {
    const names = (await findNamesOfImage(docker, reference)) ?? [];
    if (names.every((name) => name.startsWith(`${keptRepository({ dataId, app })}:`))) last.add(keptImageName({ dataId, app, reference }));
  }
  return last;
}
