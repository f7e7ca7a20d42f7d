/**
 * Base images made on the machine from the distribution's own packages (mmdebstrap → docker import): no image registry
 * is needed. What they cost is kept in the cache directory, keyed by everything that goes in.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { ArchiveEntry } from '../docker/archive.ts';
import type { Docker } from '../docker/connect.ts';
import { findImageByLabel, type ImageConfig, importImage, layerImage } from '../docker/local-image.ts';
import { abortError, ForgeError } from '../errors.ts';
import type { Report } from '../report.ts';
import { startProcess } from '../run-process.ts';
import { withDeadline } from '../wait.ts';
import { type AptSources, readAptSources } from './apt-sources.ts';

const deadlineMs = 20 * 60_000;
const stderrLinesKept = 30;
/** Part of every key: raise it when the way images are made changes. */
const recipeVersion = 1;
const droppedPaths = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*', '/usr/share/lintian/*'];
const keptPaths = ['/usr/share/doc/*/copyright'];

export interface BaseUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** What is added on top of the packages, as data. */
export interface BaseSetup {
  readonly files?: readonly ArchiveEntry[];
  readonly users?: readonly BaseUser[];
  readonly config?: ImageConfig;
}

export interface BaseImageOptions {
  readonly docker: Docker;
  /** The image is named `forge.local/<name>:<key>`. */
  readonly name: string;
  /** Release of the distribution, such as `bookworm` or `noble`; default: the host's. */
  readonly suite?: string;
  readonly variant: 'essential' | 'minbase';
  readonly packages: readonly string[];
  readonly setup?: BaseSetup;
  readonly cacheDir: string;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface BaseImage {
  readonly reference: string;
  /** `sha256:…` of the engine. */
  readonly id: string;
}

/**
 * Makes the image unless it is there: from the engine (milliseconds), else from the root file system in the cache
 * directory (seconds), else with mmdebstrap. Throws `unavailable` saying what to install when this machine cannot.
 */
export async function makeBaseImage(options: BaseImageOptions): Promise<BaseImage> {
  const { docker, name, setup = {}, report, signal } = options;
  const apt = await readAptSources(options.suite, signal);
  const rootKey = keyOf({ recipeVersion, suite: apt.suite, lines: apt.lines, variant: options.variant, packages: [...options.packages].sort(), arch: process.arch });
  const key = keyOf({ rootKey, files: hashEntries(setup.files ?? []), users: setup.users, config: setup.config });
  const reference = `forge.local/${name}:${key.slice(0, 16)}`;
  const found = await findImageByLabel(docker, reference, { 'forge.base': key }, signal);
  if (found) return { reference, id: found };

  report.step(`Making the image ${name} (${apt.suite}, ${options.packages.length} packages)`);
  using deadline = withDeadline(deadlineMs, `making ${name} took longer than ${deadlineMs / 60_000} min`, signal);
  const rootfs = join(options.cacheDir, 'rootfs', `${name}-${rootKey.slice(0, 16)}.tar.zst`);
  if (!existsSync(rootfs)) await bootstrap({ rootfs, apt, options, signal: deadline });
  const base = await importImage(docker, { archive: readRootfs(rootfs), what: name, signal: deadline });
  const id = await layerImage(docker, {
    base,
    reference,
    entries: setup.files ?? [],
    users: setup.users ?? [],
    config: { ...setup.config, labels: { ...setup.config?.labels, 'forge.base': key } },
    signal: deadline,
  });
  return { reference, id };
}

/** Whether this process can run mmdebstrap at all, as the mode it would use. Throws `unavailable` otherwise. */
export function bootstrapMode(uid = process.getuid?.() ?? 0, has: (path: string) => boolean = existsSync): 'root' | 'fakechroot' {
  const install = (packages: string) => ({ hint: `as root: apt-get install ${packages}` });
  if (!has('/usr/bin/mmdebstrap')) throw new ForgeError('unavailable', 'making base images needs mmdebstrap, which is not installed', install('mmdebstrap'));
  if (uid === 0) return 'root';
  if (has('/usr/bin/fakechroot') && has('/usr/bin/fakeroot')) return 'fakechroot';
  throw new ForgeError('unavailable', 'making base images needs root, or the packages fakechroot and fakeroot', install('fakechroot fakeroot'));
}

/** sha256 of the value as JSON; keys keep the order they are written in. */
export const keyOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** sha256 over names, modes, owners and contents, in order. */
export function hashEntries(entries: readonly ArchiveEntry[]): string {
  const hash = createHash('sha256');
  for (const { content = '', ...head } of entries) hash.update(JSON.stringify({ ...head, size: content.length })).update(content);
  return hash.digest('hex');
}

/** mmdebstrap's argv: the tar goes to stdout, the mirrors come on stdin. */
export function bootstrapArgs(options: { mode: string; suite: string; variant: string; packages: readonly string[]; aptOptions: readonly string[] }): string[] {
  return [
    `--mode=${options.mode}`,
    `--variant=${options.variant}`,
    '--format=tar',
    ...(options.packages.length > 0 ? [`--include=${[...options.packages].sort().join(',')}`] : []),
    ...droppedPaths.map((path) => `--dpkgopt=path-exclude=${path}`),
    ...keptPaths.map((path) => `--dpkgopt=path-include=${path}`),
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    ...options.aptOptions.map((line) => `--aptopt=${line}`),
    options.suite,
    '-',
    '-',
  ];
}

async function bootstrap(task: { rootfs: string; apt: AptSources; options: BaseImageOptions; signal: AbortSignal }): Promise<void> {
  const { rootfs, apt, options, signal } = task;
  const mode = bootstrapMode();
  await mkdir(join(rootfs, '..'), { recursive: true });
  const args = bootstrapArgs({ mode, suite: apt.suite, variant: options.variant, packages: options.packages, aptOptions: apt.options });
  const child = startProcess('/usr/bin/mmdebstrap', args, {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', SOURCE_DATE_EPOCH: '315532800', TMPDIR: join(rootfs, '..'), ...apt.environment },
  });
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const aside = `${rootfs}.${randomBytes(6).toString('hex')}.part`;
  try {
    child.stdin.end(`${apt.lines.join('\n')}\n`);
    const lastLines = collectLines(child.stderr);
    const compress = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } });
    const stored = pipeline(child.stdout, compress, createWriteStream(aside, { mode: 0o644 }));
    const [result, lines] = await Promise.all([child, lastLines, stored.catch(() => undefined)]);
    if (signal.aborted) throw abortError(signal);
    if (result.exitCode !== 0) {
      throw new ForgeError('failed', `mmdebstrap could not make ${options.name} from ${apt.suite} (exit status ${result.exitCode ?? 'none'})`, {
        hint: 'check that apt-get update works on this machine',
        details: lines,
      });
    }
    await stored;
    await syncAndRename(aside, rootfs);
  } finally {
    signal.removeEventListener('abort', stop);
    await rm(aside, { force: true });
  }
}

async function collectLines(stream: Readable): Promise<string[]> {
  const lines: string[] = [];
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + String(chunk)).split(/[\r\n]+/);
    rest = (parts.pop() ?? '').slice(-4096);
    lines.push(...parts.filter((line) => line.trim() !== ''));
    lines.splice(0, lines.length - stderrLinesKept);
  }
  return rest === '' ? lines : [...lines, rest];
}

async function syncAndRename(from: string, to: string): Promise<void> {
  const file = await open(from, 'r');
  await file.sync();
  await file.close();
  await rename(from, to);
}

function readRootfs(path: string): Readable {
  const decompress = createZstdDecompress();
  // A damaged file fails the import, which reads from this stream.
  pipeline(createReadStream(path), decompress).catch((error: unknown) => decompress.destroy(error as Error));
  return decompress;
}
