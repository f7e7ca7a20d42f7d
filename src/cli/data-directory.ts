/** Which forge a command on this machine is for. Imports only Node's builtins: it runs before every command. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Written by bin/install: KEY=VALUE lines, FORGE_DATA among them. */
const installedEnvironment = '/etc/forge/forge.env';

export interface DataDirectoryInput {
  /** Value of `--data`. */
  readonly flag: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Other than the default only in tests. */
  readonly environmentFile?: string;
}

/** The flag, else FORGE_DATA, else that of the forge installed here, else `./.forge`. Absolute. */
export function dataDirectory({ flag, env, cwd, environmentFile = installedEnvironment }: DataDirectoryInput): string {
  return resolve(cwd, flag ?? env['FORGE_DATA'] ?? installedData(environmentFile) ?? '.forge');
}

export const adminSocketOf = (data: string): string => join(data, 'run', 'admin.sock');

function installedData(path: string): string | undefined {
  try {
    const line = readFileSync(path, 'utf8').split('\n').find((text) => text.startsWith('FORGE_DATA='));
    return line?.slice('FORGE_DATA='.length).trim().replace(/^(["'])(.*)\1$/, '$2') || undefined;
  } catch {
    // Not installed, or installed by somebody whose file this user may not read: then it is not this user's forge.
    return undefined;
  }
}
