/** The image that forge's registry runs from: the distribution's docker-registry, made on this machine. */
import type { Docker } from '../../docker/connect.ts';
import type { Report } from '../../report.ts';
import { type BaseImage, makeBaseImage } from '../base-image.ts';

/** Makes the image unless it is there. Takes half a minute the first time and root or fakechroot, so builder:create calls it too. */
export async function makeRegistryImage(options: { readonly docker: Docker; readonly cacheDir: string; readonly report: Report; readonly signal: AbortSignal }): Promise<BaseImage> {
  const { docker, cacheDir, report, signal } = options;
  return await makeBaseImage({ docker, name: 'registry', variant: 'essential', packages: ['docker-registry'], cacheDir, report, signal });
}
