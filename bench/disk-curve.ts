/**
 * The disk through many deploys of one Dockerfile app, each with a layer of its own of a few megabytes: what the engine holds in
 * images of the app and in its build cache, what forge's data directory and its deployment logs take. After each tenth deploy a
 * full collection runs, as every few hours. Bounded means: the second half of the curve is flat.
 *
 * It fills and shrinks the build cache of the engine: run it on one of its own (DOCKER_HOST).
 *
 *   DOCKER_HOST=unix:///tmp/engine.sock node bench/disk-curve.ts [--deploys 100] [--keep 10] [--layer 3M] [--cache 100M]
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseSize } from '../src/config.ts';
import { weighFolder } from '../src/retention/weigh-folder.ts';
import { appFolder, bootForge, dockerfileApp, until } from '../test/support/forge.ts';
import { printMachine, run } from './support.ts';

const { values: flags } = parseArgs({
  options: { deploys: { type: 'string', default: '100' }, keep: { type: 'string', default: '10' }, layer: { type: 'string', default: '3M' }, cache: { type: 'string', default: '100M' } },
});
const deploys = Number(flags.deploys);
const layerBytes = parseSize(flags.layer) ?? 0;
const app = 'curve';
const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1).padStart(9);

printMachine(`${deploys} deploys, ${flags.layer} new in each, ${flags.keep} images kept, build cache of at most ${flags.cache}`);
const engine = process.env['DOCKER_HOST']?.replace('unix://', '');
const forge = await bootForge({ settings: { keepReleases: flags.keep, keepDeployments: '20', buildCacheBytes: flags.cache, drainTimeout: '1', ...(engine ? { dockerSocket: engine } : {}) } });
const folder = await appFolder(dockerfileApp('0'));
const points: { readonly bytes: number }[] = [];
try {
  console.log('  deploy  images  own MiB   cache MiB  data MiB  logs  seconds');
  for (let deploy = 1; deploy <= deploys; deploy++) {
    const startedAt = performance.now();
    await writeFile(join(folder, 'payload'), randomBytes(layerBytes));
    const { exitCode, all } = await forge.push(folder, app);
    if (exitCode !== 0) throw new Error(all);
    if (deploy % 10 === 0 || deploy === 1) points.push(await point(deploy, (performance.now() - startedAt) / 1000));
  }
  const [middle, last] = [points[Math.floor(points.length / 2)]?.bytes ?? NaN, points.at(-1)?.bytes ?? NaN];
  console.log(`  images and build cache at the end: ${(last / middle).toFixed(2)} × those at half time`);
} finally {
  await forge.remove();
}

interface Report {
  readonly apps: readonly { readonly app: string; readonly images: { readonly count: number; readonly ownBytes: number } }[];
  readonly engineBuildCacheBytes: number;
}

async function point(deploy: number, seconds: number): Promise<{ readonly bytes: number }> {
  await until('what is too old is collected', async () => (await countImages()) <= Number(flags.keep));
  await forge.json('disk:clean');
  const { apps, engineBuildCacheBytes } = await forge.json<Report>('disk:report');
  const images = apps.find((one) => one.app === app)?.images ?? { count: NaN, ownBytes: NaN };
  const { signal } = new AbortController();
  const [data, logs] = await Promise.all([weighFolder(forge.data, signal), weighFolder(join(forge.data, 'deployments'), signal)]);
  // The pushed files are in git for good: what grows there is the app's own history.
  const repository = await weighFolder(join(forge.data, 'repos'), signal);
  console.log(`  ${String(deploy).padStart(6)}  ${String(images.count).padStart(6)}${mib(images.ownBytes)} ${mib(engineBuildCacheBytes)} ${mib(data - repository)} ${mib(logs)}  ${seconds.toFixed(1)}`);
  return { bytes: images.ownBytes + engineBuildCacheBytes };
}

async function countImages(): Promise<number> {
  return new Set((await run('docker', ['images', '-q', '--filter', `label=forge.app=${app}`])).split('\n').filter(Boolean)).size;
}
