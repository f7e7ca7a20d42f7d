/** What bin/install asks of the program: texts for systemd and sshd, and the supervisor where there is no systemd. */
import { parseArgs } from 'node:util';
import { ForgeError } from '../errors.ts';
import type { CommandContext } from './command-context.ts';

export async function supervise([path]: readonly string[], _context: CommandContext): Promise<number> {
  if (path === undefined) throw new ForgeError('invalid', 'forge supervise takes the file of its plan');
  return await (await import('./supervise.ts')).runSupervise(path);
}

/** The settings are the FORGE_… variables that this command runs with. */
export async function printSupervisePlan(rest: readonly string[], { env, stdout }: CommandContext): Promise<number> {
  const { supervisePlan } = await import('./supervise-plan.ts');
  const read = readFlags(rest, ['daemon-user', 'proxy-user', 'log-dir', 'program', 'proxy-generation', 'serve-generation']);
  const settings = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[0].startsWith('FORGE_') && entry[1] !== undefined));
  const plan = supervisePlan({
    program: read('program'),
    daemonUser: read('daemon-user'),
    proxyUser: read('proxy-user'),
    logDirectory: read('log-dir'),
    generations: { proxy: read('proxy-generation'), serve: read('serve-generation') },
    settings,
  });
  stdout.write(`${JSON.stringify(plan, undefined, 2)}\n`);
  return 0;
}

export async function printSystemdUnit([name = '', ...rest]: readonly string[], { stdout }: CommandContext): Promise<number> {
  const { systemdUnit } = await import('./systemd-unit.ts');
  const read = readFlags(rest, ['data', 'proxy-dir', 'door-dir', 'cache-dir']);
  stdout.write(systemdUnit(name, { data: read('data'), proxyDir: read('proxy-dir'), doorDir: read('door-dir'), cacheDir: read('cache-dir') }));
  return 0;
}

export async function printSshdConfig(rest: readonly string[], { stdout }: CommandContext): Promise<number> {
  const { sshdConfig } = await import('../ssh/sshd-config.ts');
  const read = readFlags(rest, ['login-user', 'keys-user', 'keys-file']);
  stdout.write(sshdConfig({ loginUser: read('login-user'), keysUser: read('keys-user'), keysFile: read('keys-file') }));
  return 0;
}

/** Reads `--name value` pairs; asking for one that was not given throws `invalid`. */
function readFlags(rest: readonly string[], names: readonly string[]): (name: string) => string {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ args: [...rest], options, strict: true });
  return (name) => {
    const value = values[name];
    if (typeof value !== 'string') throw new ForgeError('invalid', `--${name} is missing`);
    return value;
  };
}
