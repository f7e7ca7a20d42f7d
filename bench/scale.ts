/**
 * A forge with many apps: the store filled by its own functions (each app with config, releases and deployments), some apps
 * running in small containers that forge's own reconciler has started. How long `forge serve` takes from its start until it
 * serves and until the proxy has its routes, `apps:list` over the admin socket and by `ssh`, one pass of the reconciler
 * over a machine in order, one swap of the route table, and what memory `forge serve` takes.
 *
 * The pass and the swap are measured in this process, on the same data directory and proxy, while `forge serve` is down.
 */
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { parseArgs } from 'node:util';
import { loadConfig } from '../src/config.ts';
import { runSession } from '../src/control/client.ts';
import { routeTable, type Serving } from '../src/deploy/route-table.ts';
import type { RouteTable } from '../src/domain.ts';
import { createLog } from '../src/log.ts';
import { setConfig } from '../src/store/app-config.ts';
import { createApp, findApps, updateApp } from '../src/store/apps.ts';
import { createDeployment, updateDeployment } from '../src/store/deployments.ts';
import { createRelease, setCurrentRelease } from '../src/store/releases.ts';
import { inTransaction, openStore, type Store } from '../src/store/store.ts';
import { adminSocketPath, webSocketPath, wireCore, type Core } from '../src/wire/core.ts';
import { appFolder, bootForge, until } from '../test/support/forge.ts';
import { nodeImage } from '../test/support/images.ts';
import { sampleRelease } from '../test/store/sample-release.ts';
import { get, line, median, printMachine, pssMegabytes, run, summary, timed, verdict } from './support.ts';

const { values: flags } = parseArgs({
  options: { apps: { type: 'string', default: '1000' }, running: { type: 'string', default: '50' }, rounds: { type: 'string', default: '7' }, help: { type: 'boolean', default: false } },
});
if (flags.help) {
  console.log('node bench/scale.ts [--apps 1000] [--running 50] [--rounds 7]');
  process.exit(0);
}
const [appCount, runningCount, rounds] = [Number(flags.apps), Number(flags.running), Number(flags.rounds)];
const [releasesEach, deploymentsEach, variablesEach] = [10, 20, 10];
const startTimeoutMs = 300_000;
/** Smaller than a Node server: with many apps that are alike, memory would be what is measured. */
const server = `
import os, socket
listening = socket.create_server(('', int(os.environ['PORT'])))
while True:
    client, _ = listening.accept()
    client.recv(65536)
    client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok')
    client.close()
`;
const program = ['python3', '-c', server];

printMachine(`Scale: ${appCount} apps in the store, each with ${releasesEach} releases, ${deploymentsEach} deployments and ${variablesEach} variables; ${runningCount} run`);
const forge = await bootForge({ hasOwnProxy: true });
const log = createLog('error', 'bench');
const config = loadConfig({ data: forge.data, flags: { domain: 'localhost' }, env: {} });
try {
  await forge.end('SIGTERM');
  const image = await buildImage();
  line('filling the store', `${((await timed(async () => await fill(image))) / 1000).toFixed(1)} s`);
  await forge.begin();
  const startedAt = performance.now();
  await until('all of them run', async () => (await runningApps()) >= runningCount, startTimeoutMs);
  line(`starting ${runningCount} apps`, `${((performance.now() - startedAt) / 1000).toFixed(1)} s from the boot`);
  await measureBoots();
  await measureLists();
  line('memory of forge serve (PSS)', `${pssMegabytes(forge.pid).toFixed(0)} MB`);
  await forge.end('SIGTERM');
  await measureInProcess();
} finally {
  await forge.remove();
}

/** An image of its own, so that nothing forge may do to it touches another one. */
async function buildImage(): Promise<string> {
  const id = (await readFile(join(forge.data, 'id'), 'utf8')).trim();
  const folder = await appFolder({ Dockerfile: `FROM ${nodeImage}\nCMD ${JSON.stringify(program)}\n` });
  return (await run('docker', ['build', '-q', '--label', `forge.data=${id}`, folder])).trim();
}

async function fill(image: string): Promise<void> {
  const store = openStore({ data: forge.data, log });
  const template = join(forge.data, 'template.git');
  await run('git', ['init', '-q', '--bare', template]);
  try {
    for (let index = 0; index < appCount; index++) {
      const name = `app-${String(index).padStart(4, '0')}`;
      inTransaction(store, () => fillApp(store, { name, image, isRunning: index < runningCount }));
      await mkdir(join(forge.data, 'repos'), { recursive: true });
      await cp(template, join(forge.data, 'repos', `${name}.git`), { recursive: true });
    }
  } finally {
    store.close();
  }
}

function fillApp(store: Store, { name, image, isRunning }: { readonly name: string; readonly image: string; readonly isRunning: boolean }): void {
  createApp(store, { name });
  const variables = Object.fromEntries(Array.from({ length: variablesEach }, (_, index) => [`VARIABLE_${index}`, `value ${index} of ${name} `.repeat(4)]));
  setConfig(store, name, variables);
  const sample = sampleRelease(name, variables);
  const processTypes = { web: { entrypoint: undefined, command: program }, worker: { entrypoint: undefined, command: program } };
  const limits = { memoryBytes: 64 * 1024 * 1024, cpuShares: 1024, pids: 64 };
  const formation = { web: { quantity: 1, limits } };
  updateApp(store, name, { formation, isStopped: !isRunning });
  for (let count = 1; count <= deploymentsEach; count++) {
    const { id } = createDeployment(store, { app: name, actor: 'ada', origin: { kind: 'git', branch: 'main', commit: '3f2a91c'.padEnd(40, '0') }, reason: 'Deploy 3f2a91c' });
    // Every other attempt failed.
    if (count % (deploymentsEach / releasesEach) === 1) updateDeployment(store, id, { status: 'failed', failure: 'the build failed: step 4 of 7 ended with status 1' });
    else {
      const { version } = createRelease(store, { ...sample, image: { ...sample.image, reference: image, digest: image, processTypes }, formation, port: 5000 });
      updateDeployment(store, id, { status: 'succeeded', version });
      setCurrentRelease(store, name, version);
    }
  }
}

function host(index: number): string {
  return `app-${String(index).padStart(4, '0')}.localhost`;
}

async function runningApps(): Promise<number> {
  const answers = await Promise.all(Array.from({ length: runningCount }, async (_, index) => await get({ address: '127.0.0.1', port: forge.http, host: host(index) })));
  return answers.filter((body) => body !== undefined).length;
}

/** The proxy writes down the table that it has; forge numbers tables by the time. */
async function routedAt(): Promise<number> {
  return (JSON.parse(await readFile(join(config.proxyDir, 'routes.json'), 'utf8')) as RouteTable).version;
}

async function measureBoots(): Promise<void> {
  const [serving, routed]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    await forge.end('SIGKILL');
    const begunAt = Date.now();
    serving.push(await timed(async () => await forge.begin()));
    await until('the proxy has the routes', async () => (await routedAt()) >= begunAt);
    routed.push(Date.now() - begunAt);
    // The first pass is part of what a boot costs, not of the next boot.
    await forge.ssh$(['version']);
  }
  line('boot to serving', summary(serving, 'ms'));
  line('boot to routes in the proxy', summary(routed, 'ms'));
  verdict('boot, the later of the two', Math.max(median(serving), median(routed)) / 1000, 3, ' s');
}

async function measureLists(): Promise<void> {
  const [socket, ssh, floor]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round <= rounds; round++) {
    const [bySocket, bySsh, login] = [await timed(async () => await overSocket(['apps:list'])), await timed(async () => await overSsh(['apps:list'])), await timed(async () => await overSsh(['version']))];
    // The first one warms up.
    if (round === 0) continue;
    socket.push(bySocket);
    ssh.push(bySsh);
    floor.push(login);
  }
  line('apps:list, admin socket', summary(socket, 'ms'));
  line('apps:list, whole ssh command', `${summary(ssh, 'ms')}; ssh version ${summary(floor, 'ms')}`);
  verdict('apps:list, admin socket', median(socket), 150, ' ms');
  verdict('apps:list, ssh beyond its login', median(ssh.map((ms, index) => ms - (floor[index] ?? 0))), 150, ' ms');
}

async function overSocket(argv: readonly string[]): Promise<void> {
  const stdout = new PassThrough().resume();
  const status = await runSession({ socketPath: adminSocketPath(config), hello: { kind: 'session', argv }, stdin: undefined, stdout, stderr: process.stderr });
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}`);
}

async function overSsh(words: readonly string[]): Promise<void> {
  const { exitCode, all } = await forge.ssh$(words);
  if (exitCode !== 0) throw new Error(all);
}

async function measureInProcess(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const core = await wireCore(config, log, stack);
  const { signal } = new AbortController();
  // The first pass adopts.
  await core.reconciler.pass(signal);
  const [passes, swaps]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    passes.push(await timed(async () => await core.reconciler.pass(signal)));
    const serving = await servingNow(core);
    swaps.push(await timed(async () => {
      const table = routeTable({ version: Date.now(), domain: config.domain, controlSocket: webSocketPath(config), serving });
      await core.proxy.apply(table, AbortSignal.timeout(10_000));
    }));
  }
  line('reconcile pass', summary(passes, 'ms'));
  verdict('reconcile pass', median(passes) / 1000, 1, ' s');
  line(`route swap, ${appCount} hosts`, summary(swaps, 'ms', 1));
  verdict('route swap', median(swaps), 20, ' ms');
}

async function servingNow({ store, runtime }: Core): Promise<readonly Serving[]> {
  const byApp = Map.groupBy(await runtime.findInstances(), ({ app }) => app);
  return findApps(store).map(({ name }) => ({ app: name, instances: byApp.get(name) ?? [] }));
}
