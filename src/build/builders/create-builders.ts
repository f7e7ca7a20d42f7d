import type { Config } from '../../config.ts';
import type { Docker } from '../../docker/connect.ts';
import type { Builder, Builders } from '../build-request.ts';
import { createDockerfileBuilder } from './dockerfile.ts';
import { createImageBuilder } from './image.ts';
import { createStaticBuilder } from './static.ts';

export interface CreateBuildersOptions {
  readonly docker: Docker;
  readonly config: Config;
  /** The builder for Cloud Native Buildpacks, which has dependencies of its own. */
  readonly cnb: Builder;
}

/** Every builder by its name. */
export const createBuilders = ({ docker, config, cnb }: CreateBuildersOptions): Builders => ({
  dockerfile: createDockerfileBuilder({ docker, config }),
  static: createStaticBuilder({ docker, config }),
  image: createImageBuilder({ docker, config }),
  cnb,
});
