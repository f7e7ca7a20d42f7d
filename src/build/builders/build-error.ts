/** Turns what an engine says of a failed build into what its author can act on. Pure. */
import { formatSize } from '../../config.ts';
import { isImageUnknown, isRegistryUnreachable } from '../../docker/images.ts';
import { ForgeError, isForgeError } from '../../errors.ts';

export interface BuildErrorContext {
  readonly dockerfile: string;
  readonly memoryBytes: number;
  /** The step as BuildKit names it. */
  readonly failedStep: string | undefined;
}

/** The build's own output was shown already; this says which step failed and why. Other codes than `failed` pass through. */
export function explainBuildError(error: unknown, context: BuildErrorContext): unknown {
  if (!isForgeError(error) || error.code !== 'failed') return error;
  const reason = shortened(error.message).replace(/^could not build the image: /, '').replaceAll(/failed to solve( with frontend [\w.]+)?: |failed to create LLB definition: |rpc error: code = \w+ desc = /g, '');
  const exit = /(?:process|running|command) ["'[](?:\/bin\/sh -c )?(.*?)["'\]](?: did not complete successfully)?:? (?:exit code:|returned a non-zero code:) (\d+)/s.exec(reason);
  if (exit) return stepFailed(exit[1] ?? '', Number(exit[2]), { error, memoryBytes: context.memoryBytes });
  const image = imageOf(reason, context.dockerfile);
  if (isRegistryUnreachable(reason) && /\/v2\/|manifest|registry/i.test(reason)) return unreachable(image, reason, error);
  if (isImageUnknown(reason) && /pull access|manifest|repository|authoriz/i.test(reason)) {
    return new ForgeError('failed', `the Dockerfile needs the image ${image}, which does not exist or may not be read`, {
      details: [reason],
      hint: 'check the name and tag in its FROM line',
      cause: error,
    });
  }
  const at = context.failedStep === undefined ? '' : ` at ${context.failedStep}`;
  return new ForgeError('failed', `the Dockerfile build failed${at}: ${reason.replace(/^failed to compute cache key: /, '')}`, { cause: error });
}

/** A message repeats the step, which may be long; what went wrong stands at its end. */
const shortened = (text: string): string => (text.length > 8192 ? `${text.slice(0, 4096)}…${text.slice(-4096)}` : text);

function stepFailed(command: string, status: number, { error, memoryBytes }: { error: unknown; memoryBytes: number }): ForgeError {
  const shown = command.length > 200 ? `${command.slice(0, 200)}…` : command;
  if (status === 137) {
    return new ForgeError('exhausted', `the build step "${shown}" was killed: it used more memory than the limit of ${formatSize(memoryBytes)} or than the machine has`, {
      hint: 'make the step use less, or raise forge’s setting buildMemory',
      cause: error,
    });
  }
  return new ForgeError('failed', `the build step "${shown}" ended with status ${status}`, { hint: 'its output is above', cause: error });
}

function unreachable(image: string, reason: string, cause: unknown): ForgeError {
  return new ForgeError('failed', `the Dockerfile needs the image ${image}, and its registry cannot be reached from this machine`, {
    details: [reason],
    hint: 'check the network and proxy settings of the Docker Engine, or load the image here (docker load) and push again',
    cause,
  });
}

/** The image that a message is about: by its registry URL, else the Dockerfile's only foreign image. */
function imageOf(reason: string, dockerfile: string): string {
  const url = /https?:\/\/([^/\s"]+)\/v2\/([^\s"]+)\/manifests\/([^\s":]+(?::[0-9a-f]{64})?)/.exec(reason);
  if (url) {
    const [, host = '', name = '', tag = ''] = url;
    const shortName = /(^|\.)docker\.io$/.test(host) ? name.replace(/^library\//, '') : `${host}/${name}`;
    return `${shortName}${tag.startsWith('sha256:') ? '@' : ':'}${tag}`;
  }
  const images = [...dockerfile.matchAll(/^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)/gim)].map((match) => match[1] ?? '');
  return [...new Set(images)].join(' or ') || 'in its FROM line';
}
