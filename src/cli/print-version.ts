import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandContext } from './command-context.ts';

/** `forge 0.1.0`, or JSON: the version of this installation, whether it runs or not. */
export async function printVersion(rest: readonly string[], { stdout }: CommandContext): Promise<number> {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string };
  stdout.write(rest.includes('--json') ? `${JSON.stringify({ version })}\n` : `forge ${version}\n`);
  return 0;
}
