/**
 * A one-line change of a Node app through forge's builder for buildpacks beside the same three lifecycle containers run by
 * hand: source copied, analyze, detect + restore + build, export to the same registry, pull, `docker run`, first answer.
 * Interleaved; prints medians, spread and the ratio. Every build gets a changed line; both have a warm cache of their own.
 *
 *   node bench/cnb.ts [--rounds 7]
 *
 * Needs the local builder (forge builder:create).
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createCnbBuilder } from '../src/build/builders/cnb.ts';
import { createRegistry } from '../src/build/cnb/registry.ts';
import { createTurnLock } from '../src/build/cnb/turn-lock.ts';
import { inspectBuilder } from '../src/build/cnb/builder-facts.ts';
import { localBuilder } from '../src/build/cnb/create-builder.ts';
import { loadConfig } from '../src/config.ts';
import { connectDocker } from '../src/docker/connect.ts';
import { createLog } from '../src/log.ts';
import { createReport } from '../src/report.ts';
import { delay } from '../src/wait.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } });
const directory = mkdtempSync(join(tmpdir(), 'forge-bench-cnb-'));
const bundle = '/etc/ssl/certs/ca-certificates.crt';
const dataId = `bench${process.pid}00000000`;
const docker = connectDocker('/var/run/docker.sock');
const report = createReport([]);
const lock = createTurnLock();
const cacheDir = join(import.meta.dirname, '..', '.cache');
const config = loadConfig({ data: directory, flags: { buildExtraCa: bundle, cacheDir }, env: {} });
const registry = createRegistry({ docker, dataId, data: directory, cacheDir, port: 0, lock, report, log: createLog('error', 'bench') });
const cnb = createCnbBuilder({ docker, dataId, config, registry, lock });
const builder = await inspectBuilder(docker, localBuilder, AbortSignal.timeout(10_000));
const access = await registry.ensure(AbortSignal.timeout(300_000));
let builds = 0;

function run(argv: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync(argv[0] as string, argv.slice(1), { encoding: 'utf8', input, maxBuffer: 1e8 });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}${stdout}`);
  return stdout.trim();
}

/** The app with a new line, owned by the builder's user as a checkout for it would be. */
function writeApp(): { folder: string; tar: string } {
  const folder = join(directory, `app${++builds}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'bench', version: '1.0.0', private: true, scripts: { start: 'node server.js' }, dependencies: { 'is-odd': '3.0.1' } }));
  writeFileSync(join(folder, 'server.js'), `require('node:http').createServer((_, r) => r.end('build ${builds}')).listen(process.env.PORT);\n`);
  const tar = `${folder}.tar`;
  run(['tar', '--sort=name', '-C', folder, '-cf', tar, './']);
  return { folder, tar };
}

async function untilAnswer(image: string): Promise<string> {
  const id = run(['docker', 'run', '-d', '-e', 'PORT=5000', '--entrypoint', '/cnb/process/web', image]);
  const address = run(['docker', 'inspect', '-f', '{{.NetworkSettings.IPAddress}}', id]);
  for (;;) {
    try {
      await (await fetch(`http://${address}:5000/`, { signal: AbortSignal.timeout(1000) })).text();
      return id;
    } catch {
      await delay(5);
    }
  }
}

async function viaForge(): Promise<number> {
  const { tar } = writeApp();
  const started = performance.now();
  const image = await cnb.build({
    app: 'bench',
    deploymentId: `bench${process.pid}${builds}`,
    source: { tarPath: tar, sizeBytes: 0, paths: new Set(), files: new Map() },
    plan: { builder: 'cnb', reason: '', procfile: new Map(), warnings: [] },
    settings: { builder: undefined, port: undefined, buildArgs: [], readiness: undefined, drainTimeoutMs: undefined, stopTimeoutMs: undefined },
    config: {},
    origin: { kind: 'folder' },
    report,
    signal: AbortSignal.timeout(600_000),
  });
  const id = await untilAnswer(image.reference);
  const took = performance.now() - started;
  run(['docker', 'rm', '-f', id]);
  await cnb.settled();
  return took;
}

async function byHand(): Promise<number> {
  const { folder } = writeApp();
  const name = `forge-bench-${process.pid}`;
  const image = `${access.host}/byhand/bench`;
  const auth = JSON.stringify({ [access.host]: `Basic ${Buffer.from(`${access.login.username}:${access.login.password}`).toString('base64')}` });
  const credentials = ['-e', `CNB_REGISTRY_AUTH=${auth}`, '-e', 'CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON=true', '-e', 'CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE=true', '--network', `container:${access.containerId}`];
  const phase = (extra: readonly string[], entrypoint: string, ...args: string[]): string =>
    run(['docker', 'run', '--rm', '--cap-drop=ALL', '-e', 'CNB_PLATFORM_API=0.13', '-v', `${name}-layers:/layers`, '-v', `${name}-work:/workspace`, '-v', `${name}-cache:/cache`, '-e', 'CNB_CACHE_DIR=/cache', ...extra, '--entrypoint', entrypoint, builder.id, ...args]);
  const started = performance.now();
  const seed = run(['docker', 'create', '-v', `${name}-work:/workspace`, builder.id]);
  const cp = spawnSync('docker', ['cp', '-', `${seed}:/workspace`], { input: spawnSync('tar', ['-C', folder, `--owner=${builder.uid}`, `--group=${builder.gid}`, '-cf', '-', './']).stdout });
  if (cp.status !== 0) throw new Error(cp.stderr.toString());
  const runImage = `${access.host}/run:${run(['docker', 'image', 'inspect', '-f', '{{.Id}}', builder.runImage]).slice(7, 39)}`;
  phase([...credentials, '-e', `CNB_RUN_IMAGE=${runImage}`], '/cnb/lifecycle/analyzer', image);
  const trusts = ['-v', `${bundle}:/etc/ca.pem:ro`, '-v', `${platformFolder()}:/platform:ro`];
  phase(trusts, '/bin/sh', '-c', '/cnb/lifecycle/detector && /cnb/lifecycle/restorer && /cnb/lifecycle/builder');
  const exported = phase(credentials, '/cnb/lifecycle/exporter', image);
  const digest = /sha256:[0-9a-f]{64}/.exec(exported.slice(exported.indexOf('*** Images')))?.[0] ?? '';
  run(['docker', 'pull', '-q', `${image}@${digest}`]);
  const id = await untilAnswer(`${image}@${digest}`);
  const took = performance.now() - started;
  run(['docker', 'rm', '-f', '-v', id, seed]);
  run(['docker', 'volume', 'rm', `${name}-layers`, `${name}-work`]);
  return took;
}

function platformFolder(): string {
  const folder = join(directory, 'platform', 'env');
  mkdirSync(folder, { recursive: true });
  for (const variable of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'npm_config_cafile']) writeFileSync(join(folder, variable), '/etc/ca.pem');
  return join(directory, 'platform');
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const shown = (values: readonly number[]): string => `${(median(values) / 1000).toFixed(2)} s (${(Math.min(...values) / 1000).toFixed(2)}–${(Math.max(...values) / 1000).toFixed(2)})`;

try {
  run(['docker', 'login', '-u', access.login.username, '--password-stdin', access.host], access.login.password);
  const volume = `forge-bench-${process.pid}-cache`;
  // A cache volume starts with the owner of the image's own folder; by hand that needs a container that is root.
  run(['docker', 'run', '--rm', '--user', '0', '-v', `${volume}:/cache`, '--entrypoint', '/bin/chown', builder.id, `${builder.uid}:${builder.gid}`, '/cache']);
  const first = { forge: await viaForge(), byHand: await byHand() };
  const forge: number[] = [];
  const hand: number[] = [];
  for (let round = 0; round < Number(flags.rounds); round++) {
    forge.push(await viaForge());
    hand.push(await byHand());
  }
  console.log(`first build:      forge ${(first.forge / 1000).toFixed(2)} s, by hand ${(first.byHand / 1000).toFixed(2)} s`);
  console.log(`one-line change:  forge ${shown(forge)}, by hand ${shown(hand)}, ratio ${(median(forge) / median(hand)).toFixed(2)}`);
  run(['docker', 'volume', 'rm', volume]);
} finally {
  await cnb.removeApp('bench');
  run(['docker', 'logout', access.host]);
  const images = run(['docker', 'images', '--digests', '--format', '{{.Repository}}@{{.Digest}}']).split('\n').filter((name) => name.startsWith(`${access.host}/`));
  for (const image of images) spawnSync('docker', ['rmi', image]);
  run(['docker', 'rm', '-f', access.containerId]);
  for (const name of [`forge-registry-${dataId.slice(0, 12)}`, `forge-build-${dataId.slice(0, 12)}`]) {
    spawnSync('docker', ['volume', 'rm', name]);
    spawnSync('docker', ['network', 'rm', name]);
  }
  rmSync(directory, { recursive: true, force: true });
}
