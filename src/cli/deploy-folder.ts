/** `forge deploy`: packs a folder and streams it to forge, through the same pipeline as a push. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ForgeError } from '../errors.ts';
import { appOfFolder } from './app-of-folder.ts';
import type { CommandContext } from './command-context.ts';
import { packFolder } from './pack-folder.ts';
import { sendCommand } from './send-command.ts';

interface DeployFlags {
  readonly app: string | undefined;
  readonly image: string | undefined;
  readonly words: readonly string[];
  /** Passed on as they are. */
  readonly others: readonly string[];
}

export async function deployFolder(rest: readonly string[], context: CommandContext): Promise<number> {
  const { app: named, image, words, others } = readFlags(rest);
  if (others.includes('--help')) return await (await import('./local-help.ts')).localHelp(['deploy'], context);
  if (words.length > 1) throw new ForgeError('invalid', `forge deploy takes one folder, found ${words.length}`, { hint: 'forge deploy [DIR] --app APP' });
  const path = context.env['PATH'] ?? '/usr/bin:/bin';
  if (image !== undefined) {
    const app = named ?? words[0] ?? (await appOfFolder(context.cwd, path));
    return await sendCommand(['deploy', app, '--image', image, ...others], context);
  }
  const folder = resolve(context.cwd, words[0] ?? '.');
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ForgeError('invalid', `${folder} is no folder`, { hint: 'forge deploy [DIR] --app APP' });
  }
  const app = named ?? (await appOfFolder(folder, path));
  return await sendCommand(['deploy', app, ...others], context, packFolder(folder));
}

function readFlags(rest: readonly string[]): DeployFlags {
  const values = new Map<string, string>();
  const words: string[] = [];
  const others: string[] = [];
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? '';
    const [, name = '', inline] = /^(--app|-a|--image)(?:=(.*))?$/s.exec(word) ?? [];
    if (name !== '') {
      const value = inline ?? rest[(at += 1)];
      if (value === undefined) throw new ForgeError('invalid', `${name} needs a value`);
      values.set(name === '-a' ? '--app' : name, value);
    } else if (word === '--json') others.push(word);
    else if (word === '--help' || word === '-h') others.push('--help');
    else if (word.startsWith('-')) throw new ForgeError('invalid', `forge deploy has no flag ${word}`, { hint: 'forge help deploy' });
    else words.push(word);
  }
  return { app: values.get('--app'), image: values.get('--image'), words, others };
}
