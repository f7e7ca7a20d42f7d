/** Builds fixture apps with the local builder, runs what came out, and asks it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll } from 'vitest';
import type { Image } from '../../src/domain.ts';
import { type CnbWorld, createCnbWorld, ensureLocalBuilder, root, type SourceFiles } from '../build/cnb/cnb-world.ts';

const startTimeoutMs = 30_000;

/** A world with the local builder for all tests of a file. */
export function useBuilder(): () => CnbWorld {
  let world: CnbWorld | undefined;
  beforeAll(async () => {
    world = await createCnbWorld();
    await ensureLocalBuilder(world.docker, world.report);
  }, 900_000);
  afterAll(async () => await world?.close());
  return () => {
    if (world === undefined) throw new Error('the builder is made in beforeAll');
    return world;
  };
}

/** A folder of test/fixtures/apps or of examples as files by path, some replaced, left out (undefined) or added. */
export async function readApp(folder: string, changes: Readonly<Record<string, string | undefined>> = {}): Promise<Record<string, string>> {
  const path = join(root, folder);
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => relative(path, join(entry.parentPath, entry.name)));
  const contents = await Promise.all(files.map(async (name): Promise<[string, string]> => [name, await readFile(join(path, name), 'utf8')]));
  return Object.fromEntries(Object.entries({ ...Object.fromEntries(contents), ...changes }).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Sources of a fixture app. */
export async function fixture(world: CnbWorld, name: string, changes: Readonly<Record<string, string | undefined>> = {}): Promise<SourceFiles> {
  return await world.source(await readApp(`test/fixtures/apps/${name}`, changes));
}

export interface Visit {
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; body: string; headers: Headers }>;
  /** Output so far. */
  logs(): Promise<string>;
  /** SIGTERM; resolves with the exit status and how long it took. */
  stop(): Promise<{ status: number; ms: number }>;
}

/** Runs a process type of the image as forge does, with a read-only root, until `use` has ended. */
export async function visit<T>(image: Image, use: (app: Visit) => Promise<T>, type = 'web'): Promise<T> {
  const options = ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', '--label', 'forge.test=buildpacks', '-e', 'PORT=8000', '-p', '127.0.0.1::8000'];
  const { stdout: id } = await execa('docker', ['run', '--detach', ...options, '--entrypoint', `/cnb/process/${type}`, image.reference]);
  try {
    const { stdout: address } = await execa('docker', ['port', id, '8000']);
    return await use({
      get: (path, headers = {}) => fetchWhenUp(`http://${address}${path}`, headers, id),
      logs: async () => (await execa('docker', ['logs', id], { all: true })).all,
      stop: () => stopContainer(id),
    });
  } finally {
    await execa('docker', ['rm', '--force', id]);
  }
}

async function fetchWhenUp(url: string, headers: Record<string, string>, id: string) {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    try {
      const response = await fetch(url, { headers, redirect: 'manual' });
      return { status: response.status, body: await response.text(), headers: response.headers };
    } catch (error) {
      const { stdout: running } = await execa('docker', ['inspect', '--format', '{{.State.Running}}', id]);
      if (running !== 'true' || Date.now() > deadline) {
        const { all } = await execa('docker', ['logs', id], { all: true });
        throw new Error(`the app does not answer:\n${all}`, { cause: error });
      }
      await delay(50);
    }
  }
}

async function stopContainer(id: string): Promise<{ status: number; ms: number }> {
  const started = Date.now();
  await execa('docker', ['stop', '--time', '20', id]);
  const { stdout } = await execa('docker', ['inspect', '--format', '{{.State.ExitCode}}', id]);
  return { status: Number(stdout), ms: Date.now() - started };
}

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

/** The software list that a buildpack left in the image. */
export async function readSbom(image: Image, buildpack: string): Promise<readonly Component[]> {
  const folder = await mkdtemp(join(tmpdir(), 'forge-sbom-'));
  const { stdout: id } = await execa('docker', ['create', '--label', 'forge.test=buildpacks', image.reference]);
  try {
    await execa('docker', ['cp', `${id}:/layers/sbom/launch/${buildpack}/sbom.cdx.json`, folder]);
    const text = await readFile(join(folder, 'sbom.cdx.json'), 'utf8');
    return (JSON.parse(text) as { components: Component[] }).components;
  } finally {
    await execa('docker', ['rm', id]);
    await rm(folder, { recursive: true, force: true });
  }
}
