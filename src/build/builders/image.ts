/** Takes an image that somebody else built: by name from a registry, or one that the engine has. */
import type { Config } from '../../config.ts';
import type { Docker } from '../../docker/connect.ts';
import { findImage, inspectImage, pullImage, type ImageFacts } from '../../docker/images.ts';
import type { Image } from '../../domain.ts';
import { ForgeError, isForgeError } from '../../errors.ts';
import { parseImageReference } from '../../names.ts';
import { withTimeout } from '../../wait.ts';
import type { Builder, BuildRequest } from '../build-request.ts';
import { imageProcessTypes } from '../process-command.ts';

export interface ImageBuilderOptions {
  readonly docker: Docker;
  readonly config: Pick<Config, 'buildTimeout'>;
}

const imageId = /^(sha256:)?[0-9a-f]{12,64}$/;

/** The request's origin names the image. Pulls a name even when the engine has it, since a tag may have moved; one that no registry has is taken from the engine. */
export function createImageBuilder({ docker, config }: ImageBuilderOptions): Builder {
  return {
    name: 'image',
    async build(request) {
      const { origin } = request;
      if (origin.kind !== 'image') throw new ForgeError('invalid', 'this app runs a prebuilt image, and no image was named', { hint: 'forge deploy --image REF' });
      const limit = `the image ${origin.reference} was not pulled within ${config.buildTimeout / 1000} s (setting buildTimeout)`;
      const facts = await withTimeout(config.buildTimeout, limit, (signal) => obtain(docker, { ...request, signal }, origin.reference), request.signal);
      return describe(facts, { request, reference: origin.reference });
    },
  };
}

async function obtain(docker: Docker, { report, signal }: BuildRequest, reference: string): Promise<ImageFacts> {
  if (imageId.test(reference)) {
    const local = await findImage(docker, reference);
    if (local) return local;
    if (reference.startsWith('sha256:')) throw new ForgeError('not-found', `the Docker Engine has no image ${reference}`, { hint: 'docker images --digests lists what it has' });
  }
  parseImageReference(reference);
  report.step(`Pulling ${reference}`);
  try {
    await pullImage(docker, reference, { onLine: (line) => report.body(line), signal });
  } catch (error) {
    const local = isForgeError(error) && (error.code === 'not-found' || error.code === 'unavailable') ? await findImage(docker, reference) : undefined;
    if (!local) throw error;
    report.body(`not pulled (${(error as ForgeError).message}); using the image of that name that the engine has`);
    return local;
  }
  return await inspectImage(docker, reference);
}

function describe(facts: ImageFacts, { request, reference }: { request: BuildRequest; reference: string }): Image {
  const { procfile } = request.plan;
  if (procfile.size === 0 && facts.entrypoint.length + facts.command.length === 0) {
    throw new ForgeError('invalid', `the image ${reference} has nothing to run: neither CMD nor ENTRYPOINT`);
  }
  const [repoDigest] = facts.repoDigests.filter((digest) => digest.startsWith(`${repositoryOf(reference)}@`));
  return {
    // The id is what the engine holds; the digest is what a registry knows it by, where one does.
    reference: facts.id,
    digest: repoDigest?.slice(repoDigest.indexOf('@') + 1) ?? facts.id,
    builder: 'image',
    processTypes: imageProcessTypes(procfile, facts.entrypoint),
    exposedPorts: facts.exposedPorts,
    user: facts.user,
    launcher: undefined,
  };
}

const repositoryOf = (reference: string): string => reference.replace(/@.*$/, '').replace(/:\w[\w.-]*$/, '');
