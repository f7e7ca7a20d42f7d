/** What forge asks its own registry over HTTP. https://distribution.github.io/distribution/spec/api/ */
import type { RegistryLogin } from '../../docker/registry-images.ts';
import { ForgeError } from '../../errors.ts';

export interface RegistryAccess {
  readonly containerId: string;
  /** `127.0.0.1:<port>`, for the engine and for containers in the registry's network namespace alike. */
  readonly host: string;
  readonly login: RegistryLogin;
}

const manifestTypes = ['application/vnd.docker.distribution.manifest.v2+json', 'application/vnd.oci.image.manifest.v1+json'].join(', ');

/** Whether the registry answers and takes the password. */
export async function answers(registry: RegistryAccess, signal: AbortSignal): Promise<boolean> {
  return (await ask(registry, '', 'GET', signal)).ok;
}

/** Digest of `name:tag` or `name@digest` (without the host), or `undefined` when there is no such manifest. */
export async function findDigest(registry: RegistryAccess, reference: string, signal: AbortSignal): Promise<string | undefined> {
  const [, name, version] = /^([^@:]+)[@:](.+)$/.exec(reference) ?? [];
  const response = await ask(registry, `${name}/manifests/${version}`, 'HEAD', signal);
  return response.ok ? (response.headers.get('docker-content-digest') ?? undefined) : undefined;
}

/** Forgets the manifest that the reference leads to, with every tag on it; its layers go with the next collection. */
export async function deleteManifest(registry: RegistryAccess, reference: string, signal: AbortSignal): Promise<void> {
  const digest = await findDigest(registry, reference, signal);
  if (!digest) return;
  const { ok, status } = await ask(registry, `${reference.replace(/[@:].*$/, '')}/manifests/${digest}`, 'DELETE', signal);
  if (!ok && status !== 404) throw new ForgeError('failed', `the image registry did not delete ${reference} (status ${status})`);
}

/** Names of everything in it, such as `apps/hello`; at most a thousand. */
export async function findRepositories(registry: RegistryAccess, signal: AbortSignal): Promise<readonly string[]> {
  return (await list(registry, '_catalog?n=1000', signal)).repositories ?? [];
}

export async function findTags(registry: RegistryAccess, name: string, signal: AbortSignal): Promise<readonly string[]> {
  return (await list(registry, `${name}/tags/list`, signal)).tags ?? [];
}

async function list(registry: RegistryAccess, path: string, signal: AbortSignal): Promise<{ readonly repositories?: readonly string[] | null; readonly tags?: readonly string[] | null }> {
  const response = await ask(registry, path, 'GET', signal);
  if (response.status === 404) return {};
  if (!response.ok) throw new ForgeError('failed', `the image registry did not list ${path} (status ${response.status})`);
  return (await response.json()) as object;
}

async function ask({ host, login }: RegistryAccess, path: string, method: string, signal: AbortSignal): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  return await fetch(`http://${host}/v2/${path}`, { method, headers: { authorization, accept: manifestTypes }, signal });
}
