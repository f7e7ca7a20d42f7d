/** What is done to this machine by hand or by bin/install: firewall, local builder, the reference of the settings. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatSize } from '../config.ts';
import { ForgeError } from '../errors.ts';
import { readConfigFlags } from './config-flags.ts';
import type { CommandContext } from './command-context.ts';
import { localHelp } from './local-help.ts';
import { untilSignal } from './until-signal.ts';

const sshPort = 22;
/** What bin/install runs the proxy as. */
const proxyUser = 'forge-proxy';
/** What compiling the lifecycle may see of the environment. */
const passedOn = /^(PATH|HOME|LANG|TMPDIR|GO[A-Z0-9]+|(https?|no|all)_proxy|npm_config_registry|SSL_CERT_(FILE|DIR))$/i;

export async function firewall(rest: readonly string[], context: CommandContext): Promise<number> {
  const { config, words, help } = readConfigFlags(rest, context);
  if (help) return await localHelp(['firewall'], context);
  const { applyFirewall, removeFirewall } = await import('../runtime/firewall.ts');
  const signal = untilSignal();
  const [action] = words;
  if (action === 'remove') {
    await removeFirewall(signal);
    context.stdout.write('Removed the rules of the firewall\n');
    return 0;
  }
  if (action !== 'apply') throw new ForgeError('invalid', 'forge firewall takes apply or remove');
  const publicPorts = [...new Set([config.http, config.ssh, sshPort].filter((port) => port > 0))];
  const uid = uidOf(proxyUser);
  const families = await applyFirewall({ publicPorts, proxy: uid === undefined ? undefined : { uid, networkPool: config.networkPool }, signal });
  context.stdout.write(`Containers reach no more of this machine than ports ${publicPorts.join(', ')} (${families.join(', ')})\n`);
  return 0;
}

/** As `/etc/passwd` has it; `undefined` where there is no such user. */
function uidOf(user: string): number | undefined {
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((one) => one.startsWith(`${user}:`));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}

/** Half the weight of an instance: builds take what apps leave. */
const buildCpuShares = 512;
const tasksPerBuild = 4096;

export async function buildCaps(rest: readonly string[], context: CommandContext): Promise<number> {
  const { config, help } = readConfigFlags(rest, context);
  if (help) return await localHelp(['build-caps'], context);
  const { capBuilds } = await import('../build/builders/cap-builds.ts');
  const memoryBytes = config.buildMemory * config.buildConcurrency;
  const isCapped = await capBuilds({ memoryBytes, cpuShares: buildCpuShares, tasks: tasksPerBuild * config.buildConcurrency });
  const message = isCapped
    ? `All Dockerfile builds together get at most ${formatSize(memoryBytes)} and half the CPU weight of an instance`
    : 'Dockerfile builds have no control group in common here: forge watches them one by one';
  context.stdout.write(`${message}\n`);
  return 0;
}

export async function builderCreate(rest: readonly string[], context: CommandContext): Promise<number> {
  const { config, help } = readConfigFlags(rest, context);
  if (help) return await localHelp(['builder:create'], context);
  const { connectDocker } = await import('../docker/connect.ts');
  const { createBuilder } = await import('../build/cnb/create-builder.ts');
  const { createReport } = await import('../report.ts');
  const environment = Object.entries(context.env).filter((entry): entry is [string, string] => entry[1] !== undefined && passedOn.test(entry[0]));
  const built = await createBuilder({
    docker: connectDocker(config.dockerSocket),
    root: resolve(import.meta.dirname, '../..'),
    cacheDir: config.cacheDir,
    environment: Object.fromEntries(environment),
    report: createReport([context.stdout]),
    signal: untilSignal(),
  });
  context.stdout.write(`${built.reference} ${built.isNew ? 'is made' : 'is up to date'}\n`);
  return 0;
}

export async function configReference({ stdout }: CommandContext): Promise<number> {
  const { configDocs } = await import('../config.ts');
  stdout.write(configDocs());
  return 0;
}
