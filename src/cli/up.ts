/** `forge up` and `forge serve`: the control plane in the foreground, with or without a proxy of its own. */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { ForgeError } from '../errors.ts';
import { createLog, type Log } from '../log.ts';
import { startForge, type Forge } from '../main.ts';
import { proxyOptions } from '../proxy/options.ts';
import { startProcess, type StartedProcess } from '../run-process.ts';
import { withTimeout } from '../wait.ts';

const isSource = import.meta.filename.endsWith('.ts');
const proxyEntry = resolve(import.meta.dirname, '../proxy', isSource ? 'start.ts' : 'start.js');
/** As bin/forge gives it to `forge proxy`, and why. */
const proxyFlags = ['--max-semi-space-size=4'];
const proxyStartTimeoutMs = 15_000;
const proxyStopTimeoutMs = 15_000;
/** What serves visitors goes first: proxy and apps have 0. What forge starts (git, compressors) inherits it. */
const controlPlaneNice = 5;

export interface RunOptions {
  readonly config: Config;
  /** One line of JSON with the addresses instead of words for a person. */
  readonly json: boolean;
  readonly stdout: NodeJS.WritableStream;
}

/** Runs proxy and control plane until a signal; resolves to the exit status. */
export async function runUp({ config, json, stdout }: RunOptions): Promise<number> {
  const log = createLog(config.logLevel, 'forge');
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  mkdirSync(config.proxyDir, { recursive: true, mode: 0o770 });
  const { child: proxy } = await startProxy(config);
  setPriority(controlPlaneNice);
  try {
    const forge = await startForge(config, log);
    stdout.write(json ? `${JSON.stringify(describe(forge, config))}\n` : welcome(forge, config));
    const reason = await untilStopped(proxy);
    log.info({ reason }, 'stopping');
    await forge.close();
    return reason === 'the proxy ended' ? 1 : 0;
  } finally {
    await stopProxy(proxy, log);
  }
}

/** Runs the control plane alone, beside a proxy that something else keeps running. */
export async function runServe({ config, json, stdout }: RunOptions): Promise<number> {
  const log = createLog(config.logLevel, 'forge');
  setPriority(controlPlaneNice);
  const forge = await startForge(config, log);
  if (json) stdout.write(`${JSON.stringify(describe(forge, config))}\n`);
  log.info({ ...forge.addresses, domain: config.domain }, 'forge serves');
  const reason = await untilStopped(undefined);
  log.info({ reason }, 'stopping');
  await forge.close();
  return 0;
}

/** The child is wrapped because it is a promise of its end, which `await` would wait for. */
async function startProxy(config: Config): Promise<{ readonly child: StartedProcess }> {
  const child = startProcess(process.execPath, [...proxyFlags, proxyEntry, JSON.stringify(proxyOptions(config)), 'until-stdin-ends'], { env: { PATH: '/usr/bin:/bin' } });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const ended = child.then(({ exitCode }) => {
    const said = Buffer.concat(errors).toString().trim();
    throw new ForgeError('failed', `the proxy did not start (exit status ${exitCode}): ${said || 'it said nothing'}`, { hint: 'choose other ports with --http and --ssh if one is in use' });
  });
  ended.catch(() => undefined);
  await withTimeout(proxyStartTimeoutMs, 'the proxy did not start in time', async (signal) => await Promise.race([once(child.stdout, 'data', { signal }), ended]));
  errors.length = 0;
  child.stderr.removeAllListeners('data');
  child.stderr.pipe(process.stderr, { end: false });
  return { child };
}

async function stopProxy(proxy: StartedProcess, log: Log): Promise<void> {
  proxy.kill('SIGTERM');
  try {
    await withTimeout(proxyStopTimeoutMs, 'the proxy did not stop in time', async () => await proxy);
  } catch (error) {
    log.warn({ err: error }, 'the proxy is killed');
    proxy.kill('SIGKILL');
  }
}

async function untilStopped(proxy: StartedProcess | undefined): Promise<string> {
  const { promise, resolve: stop } = Promise.withResolvers<string>();
  const onSignal = (signal: NodeJS.Signals) => stop(signal);
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  void proxy?.then(() => stop('the proxy ended'));
  return await promise;
}

const describe = ({ addresses, adminSocket, version }: Forge, { domain, data }: Config) => ({ version, domain, data, adminSocket, ...addresses });

function welcome({ addresses, version }: Forge, { domain, data }: Config): string {
  const port = addresses.http === 80 ? '' : `:${addresses.http}`;
  const ssh = addresses.ssh === undefined ? '' : `       SSH   ssh -p ${addresses.ssh} forge@${domain} help\n`;
  return (
    `=====> forge ${version} serves, data in ${data}\n` +
    `       apps  http://<app>.${domain}${port}\n${ssh}` +
    `       keys  ${join('bin', 'forge')} keys:add laptop --admin < ~/.ssh/id_ed25519.pub\n` +
    (addresses.ssh === undefined ? '' : `       push  git push ssh://forge@${domain}:${addresses.ssh}/<app> main\n`) +
    '       Ctrl-C stops forge and its proxy; apps keep running.\n'
  );
}
