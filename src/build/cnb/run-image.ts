/** The builder and its run image, where the lifecycle and the engine find them. */
import type { Docker } from '../../docker/connect.ts';
import { findImage, pullImage } from '../../docker/images.ts';
import { pushImage } from '../../docker/registry-images.ts';
import { ForgeError, isForgeError } from '../../errors.ts';
import type { Report } from '../../report.ts';
import { type BuilderFacts, inspectBuilder } from './builder-facts.ts';
import { localBuilder } from './create-builder.ts';
import { findDigest, type RegistryAccess } from './registry-client.ts';

interface Context {
  readonly docker: Docker;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** The builder that a setting names: `local`, or an image that is pulled unless the engine has it. Throws `unavailable` saying what to do. */
export async function findBuilder(setting: string, context: Context): Promise<BuilderFacts> {
  const { docker, signal } = context;
  if (setting !== 'local') {
    await ensureImage(setting, 'the builder', context);
    return await inspectBuilder(docker, setting, signal);
  }
  try {
    return await inspectBuilder(docker, localBuilder, signal);
  } catch (error) {
    if (!isForgeError(error) || error.code !== 'not-found') throw error;
    throw new ForgeError('unavailable', 'this machine has no builder for Cloud Native Buildpacks yet', { hint: 'on the machine, as root: forge builder:create' });
  }
}

/**
 * Puts the builder's run image into forge's registry unless it is there, so that the lifecycle needs no other registry;
 * returns its reference by digest.
 */
export function createRunImages(): { publish(runImage: string, registry: RegistryAccess, context: Context): Promise<string> } {
  const published = new Map<string, string>();
  return {
    publish: async (runImage, registry, context) => {
      const { docker, report, signal } = context;
      const { id } = await ensureImage(runImage, 'the run image', context);
      const key = `${registry.host} ${id}`;
      const known = published.get(key);
      if (known && (await findDigest(registry, known.slice(registry.host.length + 1), signal))) return known;
      const name = `run:${id.replace('sha256:', '').slice(0, 32)}`;
      const digest = (await findDigest(registry, name, signal)) ?? (await publishNow(docker, { runImage, tagged: `${registry.host}/${name}`, registry, report, signal }));
      const reference = `${registry.host}/run@${digest}`;
      published.set(key, reference);
      return reference;
    },
  };
}

async function publishNow(docker: Docker, options: { runImage: string; tagged: string; registry: RegistryAccess; report: Report; signal: AbortSignal }): Promise<string> {
  options.report.step(`Preparing the run image ${options.runImage} (once)`);
  return await pushImage(docker, { image: options.runImage, reference: options.tagged, login: options.registry.login, signal: options.signal });
}

/** An image that the engine has, pulled if need be. */
async function ensureImage(reference: string, what: string, { docker, report, signal }: Context): Promise<{ readonly id: string }> {
  const found = await findImage(docker, reference);
  if (found) return found;
  report.step(`Pulling ${what} ${reference}`);
  try {
    await pullImage(docker, reference, { onLine: (line) => report.body(line), signal });
  } catch (error) {
    if (!isForgeError(error) || signal.aborted) throw error;
    throw new ForgeError(error.code, `${what} ${reference} is not on this machine and cannot be pulled`, { details: [error.message, ...error.details], hint: error.hint ?? 'check its name, or choose another builder', cause: error });
  }
  const pulled = await findImage(docker, reference);
  if (!pulled) throw new ForgeError('failed', `the engine pulled ${reference} but does not know it`);
  return pulled;
}
