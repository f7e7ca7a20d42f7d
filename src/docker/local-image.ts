/** Images made on the machine: a root file system imported, files laid on top, configuration set. */
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { ForgeError, isForgeError } from '../errors.ts';
import { type ArchiveEntry, packEntries, putArchive, readContainerFile } from './archive.ts';
import { type Docker, engineCall } from './connect.ts';
import { readJsonLines } from './json-lines.ts';
import { sendArchive } from './send-archive.ts';

/** What the image says about running it; what is left out stays as in the base. */
export interface ImageConfig {
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDir?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** TCP ports. */
  readonly exposedPorts?: readonly number[];
}

/** A line for /etc/passwd and /etc/group of an image. */
export interface ImageUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Id of the image of that name if it carries these labels. */
export async function findImageByLabel(docker: Docker, reference: string, labels: Readonly<Record<string, string>>, signal: AbortSignal): Promise<string | undefined> {
  try {
    const image = await engineCall(`inspect ${reference}`, docker.getImage(reference).inspect(), signal);
    const has = image.Config?.Labels ?? {};
    return Object.entries(labels).every(([key, value]) => has[key] === value) ? image.Id : undefined;
  } catch (error) {
    if (isForgeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** Imports a tar of a root file system; returns the id of the nameless image. */
export async function importImage(docker: Docker, options: { archive: Readable; what: string; signal: AbortSignal }): Promise<string> {
  const { archive, what, signal } = options;
  const call = async (body: Readable) => (await docker.importImage(body as unknown as string, { abortSignal: signal } as object)) as unknown as NodeJS.ReadableStream;
  const read = async (answer: NodeJS.ReadableStream): Promise<string> => {
    let id: string | undefined;
    for await (const event of readJsonLines<{ status?: string; error?: string }>(answer as unknown as Readable)) {
      if (event.error) throw new ForgeError('failed', `could not import ${what}: ${event.error}`);
      if (event.status?.startsWith('sha256:')) id = event.status;
    }
    if (!id) throw new ForgeError('failed', `could not import ${what}: the engine named no image`);
    return id;
  };
  return await engineCall(`import ${what}`, sendArchive({ archive, call, read, signal }), signal);
}

export interface LayerOptions {
  /** Image reference or id that the new one starts from. */
  readonly base: string;
  /** `name:tag` of the result. */
  readonly reference: string;
  readonly entries: Iterable<ArchiveEntry>;
  readonly users: readonly ImageUser[];
  readonly config: ImageConfig;
  readonly signal: AbortSignal;
}

/** Lays files and users on a base image and sets its configuration; returns the new image's id. Nothing runs. */
export async function layerImage(docker: Docker, options: LayerOptions): Promise<string> {
  const { base, reference, signal } = options;
  const container = await engineCall(`make ${reference}`, docker.createContainer({ Image: base, Cmd: ['/nothing'], name: `forge-layer-${randomUUID()}`, abortSignal: signal }), signal);
  try {
    const accounts = options.users.length === 0 ? [] : await accountFiles(docker, { containerId: container.id, users: options.users, signal });
    await putArchive(docker, { containerId: container.id, path: '/', archive: packEntries([...accounts, ...options.entries]), signal });
    const [repo, tag] = splitReference(reference);
    // An empty body keeps the container's own Cmd; what the image shall run is set by `changes`.
    const committed = await engineCall(`make ${reference}`, container.commit({ repo, tag, changes: configChanges(options.config).join('\n'), abortSignal: signal }), signal);
    return (committed as { Id: string }).Id;
  } finally {
    await container.remove({ force: true }).catch(() => undefined);
  }
}

/** The configuration as Dockerfile instructions, which is how `commit` takes it. */
export function configChanges(config: ImageConfig): string[] {
  const quoted = JSON.stringify;
  return [
    ...Object.entries(config.env ?? {}).map(([key, value]) => `ENV ${key}=${quoted(value).replaceAll('$', '\\$')}`),
    ...Object.entries(config.labels ?? {}).map(([key, value]) => `LABEL ${quoted(key)}=${quoted(value).replaceAll('$', '\\$')}`),
    ...(config.user === undefined ? [] : [`USER ${config.user}`]),
    ...(config.workingDir === undefined ? [] : [`WORKDIR ${config.workingDir}`]),
    ...(config.entrypoint === undefined ? [] : [`ENTRYPOINT ${quoted(config.entrypoint)}`]),
    `CMD ${quoted(config.command ?? [])}`,
    ...(config.exposedPorts ?? []).map((port) => `EXPOSE ${port}`),
  ];
}

/** `host:5000/name:tag` → name and tag; the tag is what follows the last colon after the last slash. */
export function splitReference(reference: string): [repository: string, tag: string] {
  const colon = reference.lastIndexOf(':');
  return colon > reference.lastIndexOf('/') ? [reference.slice(0, colon), reference.slice(colon + 1)] : [reference, 'latest'];
}

async function accountFiles(docker: Docker, options: { containerId: string; users: readonly ImageUser[]; signal: AbortSignal }): Promise<ArchiveEntry[]> {
  const { containerId, users, signal } = options;
  const read = async (path: string): Promise<string> => (await readContainerFile(docker, { containerId, path, signal }))?.toString('utf8') ?? '';
  const [passwd, group] = await Promise.all([read('/etc/passwd'), read('/etc/group')]);
  const end = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);
  return [
    { path: 'etc/passwd', content: end(passwd) + users.map((user) => `${user.name}:x:${user.uid}:${user.gid}::${user.home}:/bin/bash\n`).join('') },
    { path: 'etc/group', content: end(group) + users.map((user) => `${user.name}:x:${user.gid}:\n`).join('') },
    ...users.map((user) => ({ path: `${user.home.slice(1)}/`, uid: user.uid, gid: user.gid })),
  ];
}
