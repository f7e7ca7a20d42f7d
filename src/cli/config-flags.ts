/** Flags of the daemons: one per setting of config.ts, `--min-free-bytes 5G`, and `--json`. */
import { kebab, loadConfig, settings } from '../config.ts';
import type { Config } from '../config.ts';
import { ForgeError } from '../errors.ts';
import type { CommandContext } from './command-context.ts';

export interface DaemonFlags {
  readonly config: Config;
  readonly json: boolean;
  readonly help: boolean;
  /** Words that are no flags. */
  readonly words: readonly string[];
}

/** Throws `invalid` for a flag that there is not, and whatever `loadConfig` finds wrong. */
export function readConfigFlags(rest: readonly string[], { data, env }: Pick<CommandContext, 'data' | 'env'>): DaemonFlags {
  const keys = new Map(Object.keys(settings).map((key) => [`--${kebab(key)}`, key]));
  const flags: Record<string, string> = {};
  const words: string[] = [];
  let json = false;
  let help = false;
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? '';
    const [name = '', inline] = word.startsWith('--') && word.includes('=') ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word];
    const key = keys.get(name);
    if (name === '--json') json = true;
    else if (name === '--help' || name === '-h') help = true;
    else if (key !== undefined) {
      const value = inline ?? rest[(at += 1)];
      if (value === undefined) throw new ForgeError('invalid', `${name} needs a value`);
      flags[key] = value;
    } else if (word.startsWith('-')) throw new ForgeError('invalid', `there is no flag ${name}`, { hint: 'forge config docs prints every setting and its flag' });
    else words.push(word);
  }
  return { config: loadConfig({ data, flags, env }), json, help, words };
}
