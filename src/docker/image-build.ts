/** Builds an image through the engine's API, with BuildKit or with the classic builder. https://docs.docker.com/engine/api/v1.41/#tag/Image/operation/ImageBuild */
import type { Readable } from 'node:stream';
import { abortError, ForgeError } from '../errors.ts';
import { decodeBuildTrace, type BuildTrace } from './buildkit-trace.ts';
import { engineCall, translate, type Docker } from './connect.ts';
import { readJsonLines } from './json-lines.ts';

export interface ImageBuild {
  /** Plain tar; its first entry must be `./`. */
  readonly context: Readable;
  /** Path in the context. */
  readonly dockerfile: string;
  readonly tag: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly engineBuilder: 'buildkit' | 'classic';
  /** Limit of one step. BuildKit of the engine has none: whoever calls watches it. */
  readonly memoryBytes: number;
  /** Awaited before more is read, so a slow reader slows the build's output, not forge's memory. */
  readonly onEvent: (event: BuildEvent) => Promise<void> | void;
  /** Aborting ends the build in the engine. */
  readonly signal: AbortSignal;
}

export type BuildEvent = { readonly kind: 'trace'; readonly trace: BuildTrace } | { readonly kind: 'output'; readonly text: string };

interface BuildMessage {
  readonly id?: string;
  readonly aux?: string | { readonly ID?: string };
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Resolves to the image id `sha256:…`. Throws `failed` with the engine's reason, `canceled` (or the signal's reason) after an abort. */
export async function buildImage(docker: Docker, build: ImageBuild): Promise<string> {
  const { signal, context } = build;
  try {
    const response = await engineCall('build the image', dial(docker, build), signal);
    return await followBuild(response, build);
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw translate('build the image', error);
  } finally {
    context.destroy();
  }
}

/** `docker.buildImage` of the library opens a session for BuildKit, which costs time and is needed only for secrets and registry credentials. */
function dial(docker: Docker, build: ImageBuild): Promise<Readable> {
  const { promise, resolve, reject } = Promise.withResolvers<Readable>();
  const request = {
    path: '/build?',
    method: 'POST',
    file: build.context,
    options: queryOf(build),
    abortSignal: build.signal,
    isStream: true,
    statusCodes: { 200: true, 400: 'bad parameter', 500: 'server error' },
  };
  docker.modem.dial(request as never, (error: unknown, response: unknown) => (error ? reject(error as Error) : resolve(response as Readable)));
  return promise;
}

const queryOf = (build: ImageBuild): Record<string, string> => ({
  t: build.tag,
  dockerfile: build.dockerfile,
  buildargs: JSON.stringify(build.buildArgs),
  labels: JSON.stringify(build.labels),
  forcerm: '1',
  ...(build.engineBuilder === 'buildkit' ? { version: '2' } : { version: '1', memory: String(build.memoryBytes), memswap: String(build.memoryBytes) }),
});

async function followBuild(response: Readable, { onEvent }: ImageBuild): Promise<string> {
  let imageId: string | undefined;
  for await (const message of readJsonLines<BuildMessage>(response)) {
    if (message.error !== undefined) throw new ForgeError('failed', message.errorDetail?.message ?? message.error);
    if (typeof message.aux === 'object') imageId = message.aux.ID ?? imageId;
    if (message.id === 'moby.buildkit.trace' && typeof message.aux === 'string') await onEvent({ kind: 'trace', trace: decodeBuildTrace(message.aux) });
    if (message.stream !== undefined) await onEvent({ kind: 'output', text: message.stream });
    if (message.status !== undefined) await onEvent({ kind: 'output', text: `${message.status}\n` });
  }
  if (imageId === undefined) throw new ForgeError('unavailable', 'the Docker Engine ended the build without a result', { hint: 'see its log (journalctl -u docker) and try again' });
  return imageId;
}
