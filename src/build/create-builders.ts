/** The builders that forge has, one for every name, and the registry that buildpacks export to. */
import type { Config } from '../config.ts';
import type { Docker } from '../docker/connect.ts';
import { removeLabelledImages } from '../docker/labelled-images.ts';
import { labels } from '../labels.ts';
import type { Log } from '../log.ts';
import { createReport } from '../report.ts';
import type { Builders } from './build-request.ts';
import { createCnbBuilder } from './builders/cnb.ts';
import { createDockerfileBuilder } from './builders/dockerfile.ts';
import { createImageBuilder } from './builders/image.ts';
import { createStaticBuilder } from './builders/static.ts';
import { createRegistry } from './cnb/registry.ts';
import { createTurnLock } from './cnb/turn-lock.ts';

export interface BuilderParts {
  readonly docker: Docker;
  readonly config: Config;
  readonly dataId: string;
  readonly log: Log;
}

export interface CreatedBuilders {
  readonly builders: Builders;
  /** Removes what builds of the app keep for the next one. */
  forgetBuilds(app: string): Promise<void>;
  /** Removes what builds left behind when forge was killed, or the engine went away, in the middle. */
  sweep(): Promise<void>;
  /** Resolves when no build leaves anything to clean up. */
  settled(): Promise<void>;
  /** Deletes from the registry what no app's newest image needs; waits for builds and lets none start meanwhile. */
  collectGarbage(signal: AbortSignal): Promise<void>;
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
    forgetBuilds: async (app) => {
      await cnb.removeApp(app);
      await removeLabelledImages(docker, [`${labels.app}=${app}`, `${labels.data}=${dataId}`]);
    },
    sweep: cnb.sweep,
    settled: cnb.settled,
    collectGarbage: registry.collectGarbage,
  };
}
