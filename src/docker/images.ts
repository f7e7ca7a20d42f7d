/** Images in the engine: look at, pull, remove. */
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import { boundedCall } from './bounded-call.ts';
import { translate, type Docker } from './connect.ts';
import { readJsonLines } from './json-lines.ts';

/** What forge needs to know of an image. */
export interface ImageFacts {
  /** `sha256:…` of its configuration; what the engine runs. */
  readonly id: string;
  /** `name@sha256:…` by which a registry knows it; empty for images made here. */
  readonly repoDigests: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** TCP ports it EXPOSEs, ascending. */
  readonly exposedPorts: readonly number[];
  /** '' means root. */
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
}

/** Throws `not-found` when the engine has no such image. */
export async function inspectImage(docker: Docker, reference: string): Promise<ImageFacts> {
  const found = await boundedCall(`look at the image ${reference}`, () => docker.getImage(reference).inspect());
  const { Config } = found;
  return {
    id: found.Id,
    repoDigests: found.RepoDigests ?? [],
    entrypoint: listOf(Config?.Entrypoint),
    command: listOf(Config?.Cmd),
    exposedPorts: tcpPorts(Object.keys(Config?.ExposedPorts ?? {})),
    user: Config?.User ?? '',
    labels: Config?.Labels ?? {},
    sizeBytes: found.Size,
  };
}

/** The same as `inspectImage`, `undefined` when the engine has no such image. */
export async function findImage(docker: Docker, reference: string): Promise<ImageFacts | undefined> {
  try {
    return await inspectImage(docker, reference);
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}

export interface PullOptions {
  /** One line per finished layer and the result. */
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

interface PullMessage {
  readonly id?: string;
  readonly status?: string;
  readonly error?: string;
}

const finishedLayer = new Set(['Pull complete', 'Already exists']);

/** Pulls by name, tag (`latest` when neither is given) or digest. Throws `not-found` when the registry has no such image or does not let forge read it, `unavailable` when it cannot be reached. */
export async function pullImage(docker: Docker, reference: string, { onLine, signal }: PullOptions): Promise<void> {
  const named = /@sha256:|:\w[\w.-]*$/.test(reference) ? reference : `${reference}:latest`;
  try {
    const stream = await docker.pull(named, { abortSignal: signal });
    for await (const message of readJsonLines<PullMessage>(stream as AsyncIterable<Buffer>)) {
      if (message.error !== undefined) throw new Error(message.error);
      if (message.status?.startsWith('Status: ') || finishedLayer.has(message.status ?? '')) onLine([message.id, message.status].filter(Boolean).join(': '));
    }
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw pullError(named, error);
  }
}

/** Its layers go from the disk with it. */
const removalTimeoutMs = 300_000;

/** Tries to remove; an image that is in use or gone already is left to whoever uses it. */
export async function removeImage(docker: Docker, reference: string, signal?: AbortSignal): Promise<void> {
  try {
    await boundedCall(`remove the image ${reference}`, (abortSignal) => docker.getImage(reference).remove({ force: false, abortSignal }), { timeoutMs: removalTimeoutMs, signal });
  } catch (error) {
    if (!isForgeError(error) || (error.code !== 'not-found' && error.code !== 'conflict')) throw error;
  }
}

/** Tries to remove every image of that repository (`host:port/name`), whatever its tag or digest; one in use stays, and what `keep` names. */
export async function removeRepository(docker: Docker, repository: string, keep: ReadonlySet<string> = new Set()): Promise<void> {
  const images = await boundedCall('list images', (abortSignal) => docker.listImages({ filters: { reference: [repository] }, abortSignal }));
  const names = images.flatMap(({ RepoTags, RepoDigests }) => [...(RepoTags ?? []), ...(RepoDigests ?? [])]);
  for (const name of names) if (!keep.has(name) && (name.startsWith(`${repository}:`) || name.startsWith(`${repository}@`))) await removeImage(docker, name);
}

const noRegistry = /no such host|connection refused|i\/o timeout|network is unreachable|no route to host|deadline exceeded|proxyconnect|certificate|EOF|Client\.Timeout|server misbehaving/i;
const noImage = /not found|manifest unknown|does not exist|access denied|unauthorized|denied|name unknown/i;

/** Whether a message of the engine says that a registry could not be reached. */
export const isRegistryUnreachable = (message: string): boolean => noRegistry.test(message);
/** Whether a message of the engine says that a registry has no such image, or does not show it. */
export const isImageUnknown = (message: string): boolean => noImage.test(message);

function pullError(reference: string, error: unknown): ForgeError {
  const translated = translate(`pull the image ${reference}`, error);
  const reason = translated.message;
  if (translated.code === 'unavailable') return translated;
  if (isRegistryUnreachable(reason)) {
    return new ForgeError('unavailable', `could not pull the image ${reference}: its registry cannot be reached from this machine`, {
      details: [reason],
      hint: 'check the network and proxy settings of the Docker Engine, or load the image here (docker load) and use its local name or id',
      cause: error,
    });
  }
  if (!isImageUnknown(reason)) return translated;
  return new ForgeError('not-found', `there is no image ${reference}, or the registry does not let forge read it`, {
    details: [reason],
    hint: 'check the name and tag; forge has no passwords of registries: docker pull a private image on this machine, and forge takes what the engine has',
    cause: error,
  });
}

const listOf = (value: string | string[] | undefined | null): readonly string[] => (value === undefined || value === null ? [] : typeof value === 'string' ? [value] : value);

const tcpPorts = (exposed: readonly string[]): number[] =>
  exposed.filter((port) => /^\d+(\/tcp)?$/.test(port)).map((port) => Number.parseInt(port, 10)).sort((a, b) => a - b);
