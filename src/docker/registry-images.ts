/** Images between the engine and a registry that asks for a password. */
import type { Readable } from 'node:stream';
import { abortError } from '../errors.ts';
import { type Docker, engineCall, translate } from './connect.ts';
import { splitReference } from './local-image.ts';
import { readJsonLines } from './json-lines.ts';

export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
  /** `127.0.0.1:5000` */
  readonly serveraddress: string;
}

interface Progress {
  readonly error?: string;
  readonly aux?: { readonly Digest?: string };
}

/** Pushes a local image under `reference` (`host:port/name:tag`); returns the manifest's digest. */
export async function pushImage(docker: Docker, options: { image: string; reference: string; login: RegistryLogin; signal: AbortSignal }): Promise<string> {
  const { image, reference, login, signal } = options;
  const [repo, tag] = splitReference(reference);
  await engineCall(`tag ${image}`, docker.getImage(image).tag({ repo, tag, abortSignal: signal }), signal);
  const events = await follow(`push ${reference}`, docker.getImage(reference).push({ tag, authconfig: login, abortSignal: signal }), signal);
  const digest = events.findLast(({ aux }) => aux?.Digest)?.aux?.Digest;
  if (!digest) throw translate(`push ${reference}`, new Error('the engine named no digest'));
  return digest;
}

/** Pulls `host:port/name@sha256:…`. */
export async function pullDigest(docker: Docker, options: { reference: string; login: RegistryLogin; signal: AbortSignal }): Promise<void> {
  const { reference, login, signal } = options;
  await follow(`pull ${reference}`, docker.pull(reference, { authconfig: login, abortSignal: signal }), signal);
}

async function follow(what: string, call: Promise<unknown>, signal: AbortSignal): Promise<Progress[]> {
  try {
    const stream = (await call) as Readable;
    const events: Progress[] = [];
    for await (const event of readJsonLines<Progress>(stream)) {
      if (event.error) throw new Error(event.error);
      if (event.aux) events.push(event);
    }
    return events;
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw translate(what, error);
  }
}
