/**
 * A build with the lifecycle by hand: what a person would type. The same builder image, registry, hardening and three
 * containers as forge's (src/build/cnb/phase-spec.ts), one after the other: source copied in, analyze, detect + restore + build,
 * export, pull by digest.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectBuilder, type BuilderFacts } from '../src/build/cnb/builder-facts.ts';
import { localBuilder } from '../src/build/cnb/create-builder.ts';
import { loadRegistryState } from '../src/build/cnb/registry-state.ts';
import { connectDocker } from '../src/docker/connect.ts';
import { run } from './support.ts';

const bundle = '/etc/ssl/certs/ca-certificates.crt';

export interface BareLifecycle {
  /** Resolves to the reference of the image that the engine has pulled. */
  build(folder: string): Promise<string>;
  remove(): Promise<void>;
}

/** Builds into the registry of the forge whose data directory this is; `folder` keeps what the containers mount. */
export async function prepareBareLifecycle({ data, folder, label }: { readonly data: string; readonly folder: string; readonly label: string }): Promise<BareLifecycle> {
  const builder = await inspectBuilder(connectDocker('/var/run/docker.sock'), localBuilder, AbortSignal.timeout(10_000));
  const { port, username, password } = await loadRegistryState(join(data, 'registry.json'), 0, AbortSignal.timeout(10_000));
  const host = `127.0.0.1:${port}`;
  const registry = await run('docker', ['ps', '-q', '--filter', `publish=${port}`]);
  const login = { file: join(folder, 'docker'), auth: Buffer.from(`${username}:${password}`).toString('base64') };
  await mkdir(login.file, { recursive: true });
  await writeFile(join(login.file, 'config.json'), JSON.stringify({ auths: { [host]: { auth: login.auth } } }));
  const name = `forge-bench-${process.pid}`;
  // A volume starts with the owner of the image's own folder; by hand that needs a container that is root.
  const owned = ['docker', 'run', '--rm', '--label', label, '--user', '0', '-v', `${name}-cache:/cache`, '--entrypoint', '/bin/chown', builder.id, `${builder.uid}:${builder.gid}`, '/cache'];
  await run(owned[0] as string, owned.slice(1));
  const runImage = `${host}/run:${(await run('docker', ['image', 'inspect', '-f', '{{.Id}}', builder.runImage])).slice(7, 39)}`;
  const context: Context = { name, label, builder, host, registry, runImage, config: login.file, platform: await platformFolder(folder), auth: JSON.stringify({ [host]: `Basic ${login.auth}` }) };
  return {
    build: async (source) => await build(source, context),
    remove: async () => void (await run('docker', ['volume', 'rm', '-f', `${name}-cache`])),
  };
}

interface Context {
  readonly name: string;
  readonly label: string;
  readonly builder: BuilderFacts;
  readonly host: string;
  /** Container of the registry. */
  readonly registry: string;
  readonly runImage: string;
  /** Docker's configuration folder with the registry's login. */
  readonly config: string;
  readonly platform: string;
  readonly auth: string;
}

async function build(source: string, context: Context): Promise<string> {
  const { name, label, builder, host, registry, runImage, config, platform, auth } = context;
  const image = `${host}/byhand/bench`;
  const volumes = ['-v', `${name}-layers:/layers`, '-v', `${name}-work:/workspace`, '-v', `${name}-cache:/cache`];
  const limits = ['--cap-drop=ALL', '--security-opt', 'no-new-privileges', '--memory', '2g', '--memory-swap', '2g', '--pids-limit', '4096', '--log-driver', 'none'];
  const phase = async (extra: readonly string[], ...command: string[]): Promise<string> =>
    await run('docker', ['run', '--rm', '--label', label, ...limits, '-e', 'CNB_PLATFORM_API=0.13', '-e', 'CNB_CACHE_DIR=/cache', ...volumes, ...extra, '--entrypoint', '/bin/sh', builder.id, '-c', command.join(' ')]);
  const credentials = ['--network', `container:${registry}`, '-e', `CNB_REGISTRY_AUTH=${auth}`, '-e', 'CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON=true', '-e', 'CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE=true'];
  const seed = await run('docker', ['create', '--label', label, '-v', `${name}-work:/workspace`, builder.id]);
  try {
    copyIn(source, seed, builder);
    await phase([...credentials, '-e', `CNB_RUN_IMAGE=${runImage}`], 'exec /cnb/lifecycle/analyzer', image);
    const trust = ['-v', `${bundle}:/etc/ca.pem:ro`, '-v', `${platform}:/platform:ro`];
    await phase(trust, '/cnb/lifecycle/detector && /cnb/lifecycle/restorer && /cnb/lifecycle/builder');
    const exported = await phase(credentials, 'exec /cnb/lifecycle/exporter', image);
    const digest = /sha256:[0-9a-f]{64}/.exec(exported.slice(exported.indexOf('*** Images')))?.[0] ?? '';
    await run('docker', ['--config', config, 'pull', '-q', `${image}@${digest}`]);
    return `${image}@${digest}`;
  } finally {
    await run('docker', ['rm', '-f', seed]);
    await run('docker', ['volume', 'rm', '-f', `${name}-layers`, `${name}-work`]);
  }
}

/** The files belong to the builder's user, as a checkout of its own would. */
function copyIn(source: string, container: string, { uid, gid }: BuilderFacts): void {
  const tar = spawnSync('tar', ['-C', source, '--exclude=./.git', `--owner=${uid}`, `--group=${gid}`, '-cf', '-', './'], { maxBuffer: 1e9 });
  const { status, stderr } = spawnSync('docker', ['cp', '-', `${container}:/workspace`], { input: tar.stdout });
  if (status !== 0) throw new Error(stderr.toString());
}

async function platformFolder(folder: string): Promise<string> {
  await mkdir(join(folder, 'platform', 'env'), { recursive: true });
  for (const variable of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'npm_config_cafile']) await writeFile(join(folder, 'platform', 'env', variable), '/etc/ca.pem');
  return join(folder, 'platform');
}
