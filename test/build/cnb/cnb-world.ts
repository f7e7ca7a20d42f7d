/** A registry and a builder for buildpacks of their own for one test file; what costs time stays in the cache directory. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { execa } from 'execa';
import { createCnbBuilder, type CnbBuilder } from '../../../src/build/builders/cnb.ts';
import { createBuilder } from '../../../src/build/cnb/create-builder.ts';
import { createRegistry, type Registry } from '../../../src/build/cnb/registry.ts';
import { createTurnLock } from '../../../src/build/cnb/turn-lock.ts';
import { loadConfig } from '../../../src/config.ts';
import { connectDocker, type Docker } from '../../../src/docker/connect.ts';
import { listContainers, removeContainer } from '../../../src/docker/containers.ts';
import { removeImage } from '../../../src/docker/images.ts';
import { removeNetwork } from '../../../src/docker/networks.ts';
import { findVolumes, removeVolume } from '../../../src/docker/volumes.ts';
import { emptyAppFile } from '../../../src/app-file.ts';
import { defaultSettings, type Image } from '../../../src/domain.ts';
import { createLog } from '../../../src/log.ts';
import { createReport, type Report } from '../../../src/report.ts';

export const root = resolve(import.meta.dirname, '..', '..', '..');
export const cacheDir = join(root, '.cache');
export const environment = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/root' };

/** The host's bundle: where it has authorities of its own, builds need them too; elsewhere it changes nothing. */
export const hostBundle = '/etc/ssl/certs/ca-certificates.crt';

export interface CnbWorld {
  readonly docker: Docker;
  readonly dataId: string;
  readonly data: string;
  readonly registry: Registry;
  readonly cnb: CnbBuilder;
  readonly report: Report;
  /** What was reported so far. */
  output(): string;
  /** A source from files by path; a content that ends up executable begins with `#!`. */
  source(files: Readonly<Record<string, string>>): Promise<SourceFiles>;
  build(app: string, source: SourceFiles, options?: { config?: Record<string, string>; procfile?: ReadonlyMap<string, string>; signal?: AbortSignal; cnb?: CnbBuilder }): Promise<Image>;
  close(): Promise<void>;
}

export interface SourceFiles {
  readonly tarPath: string;
  readonly files: ReadonlyMap<string, string>;
}

/** Makes the local builder unless it is there. */
export async function ensureLocalBuilder(docker: Docker, report: Report): Promise<void> {
  await createBuilder({ docker, root, cacheDir, environment, report, signal: AbortSignal.timeout(600_000) });
}

export async function createCnbWorld(flags: Record<string, unknown> = {}): Promise<CnbWorld> {
  const docker = connectDocker('/var/run/docker.sock');
  const data = await mkdtemp(join(tmpdir(), 'forge-cnb-'));
  const dataId = randomBytes(8).toString('hex');
  const written = new PassThrough();
  let text = '';
  written.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const report = createReport([written]);
  const lock = createTurnLock();
  const config = loadConfig({ data, flags: { cacheDir, buildExtraCa: hostBundle, ...flags }, env: {} });
  const registry = createRegistry({ docker, dataId, data, cacheDir, port: 0, lock, report, log: createLog('error', 'test') });
  const cnb = createCnbBuilder({ docker, dataId, config, registry, lock });
  let sources = 0;
  let builds = 0;
  return {
    docker,
    dataId,
    data,
    registry,
    cnb,
    report,
    output: () => text,
    source: async (files) => {
      const folder = join(data, 'sources', String(++sources));
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), content, { mode: content.startsWith('#!') ? 0o755 : 0o644 });
      }
      await execa('tar', ['--sort=name', '-C', folder, '-cf', `${folder}.tar`, './']);
      return { tarPath: `${folder}.tar`, files: new Map(Object.entries(files)) };
    },
    build: async (app, source, options = {}) =>
      await (options.cnb ?? cnb).build({
        app,
        deploymentId: `${dataId.slice(0, 8)}${++builds}`,
        source: { ...source, sizeBytes: 0, paths: new Set(source.files.keys()) },
        plan: { builder: 'cnb', reason: 'test', warnings: [], appFile: emptyAppFile, procfile: options.procfile ?? new Map() },
        settings: defaultSettings,
        config: options.config ?? {},
        origin: { kind: 'folder' },
        report,
        signal: options.signal ?? AbortSignal.timeout(170_000),
      }),
    close: async () => {
      await cnb.settled();
      await removeImages(docker, (await registry.ensure(AbortSignal.timeout(60_000))).host);
      await removeAll(docker, dataId);
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** A world's builder with other settings, on the same registry. */
export function withSettings(world: CnbWorld, flags: Record<string, unknown>): CnbBuilder {
  const config = loadConfig({ data: world.data, flags: { cacheDir, buildExtraCa: hostBundle, ...flags }, env: {} });
  return createCnbBuilder({ docker: world.docker, dataId: world.dataId, config, registry: world.registry, lock: createTurnLock() });
}

/** Runs the image's process type or a command through its launcher, to its end. */
export async function runImage(image: Image, command: readonly string[], env: readonly string[] = []): Promise<string> {
  const variables = env.flatMap((line) => ['-e', line]);
  const { stdout } = await execa('docker', ['run', '--rm', ...variables, '--entrypoint', image.launcher ?? '', image.reference, ...command]);
  return stdout;
}

/** Containers and volumes of builds that are still there. */
export async function leftOver(world: CnbWorld): Promise<string[]> {
  const containers = await listContainers(world.docker, [`forge.data=${world.dataId}`, 'forge.build']);
  return [...containers.map(({ Names }) => Names.join()), ...(await findVolumes(world.docker, { 'forge.data': world.dataId, 'forge.build': '' }))];
}

async function removeImages(docker: Docker, host: string): Promise<void> {
  const images = await docker.listImages();
  const names = images.flatMap(({ RepoTags, RepoDigests }) => [...(RepoTags ?? []), ...(RepoDigests ?? [])]).filter((name) => name.startsWith(`${host}/`));
  for (const name of names) await removeImage(docker, name);
}

async function removeAll(docker: Docker, dataId: string): Promise<void> {
  const containers = await listContainers(docker, [`forge.data=${dataId}`]);
  await Promise.all(containers.map(({ Id }) => removeContainer(docker, Id)));
  const volumes = await findVolumes(docker, { 'forge.data': dataId });
  await Promise.all(volumes.map((name) => removeVolume(docker, name)));
  for (const kind of ['registry', 'build']) await removeNetwork(docker, `forge-${kind}-${dataId.slice(0, 12)}`);
}
