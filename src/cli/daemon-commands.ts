/** `forge up`, `forge serve`, `forge proxy`: what keeps running. */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { ForgeError } from '../errors.ts';
import { readConfigFlags } from './config-flags.ts';
import type { DaemonFlags } from './config-flags.ts';
import type { CommandContext } from './command-context.ts';
import { localHelp } from './local-help.ts';

type Run = (flags: DaemonFlags, context: CommandContext) => Promise<number>;

/** Reads the flags and answers `--help`, so that each command is only what it does. */
const daemon = (name: string, run: Run) => async (rest: readonly string[], context: CommandContext): Promise<number> => {
  const flags = readConfigFlags(rest, context);
  if (flags.help) return await localHelp([name], context);
  if (flags.words.length > 0) throw new ForgeError('invalid', `forge ${name} takes no words: ${JSON.stringify(flags.words[0])}`, { hint: `forge help ${name}` });
  return await run(flags, context);
};

export const up = daemon('up', async ({ config, json }, { stdout }) => await (await import('./up.ts')).runUp({ config, json, stdout }));

export const serve = daemon('serve', async ({ config, json }, { stdout }) => await (await import('./up.ts')).runServe({ config, json, stdout }));

export const proxy = daemon('proxy', async ({ config, json }, { stdout }) => {
  const { runProxy } = await import('../proxy/main.ts');
  const { proxyOptions } = await import('../proxy/options.ts');
  mkdirSync(config.proxyDir, { recursive: true, mode: 0o750 });
  const running = await runProxy(proxyOptions(config));
  if (json) stdout.write(`${JSON.stringify(running.addresses)}\n`);
  const stop = new AbortController();
  await Promise.race([once(process, 'SIGTERM', { signal: stop.signal }), once(process, 'SIGINT', { signal: stop.signal })]).finally(() => stop.abort());
  await running.close();
  return 0;
});
