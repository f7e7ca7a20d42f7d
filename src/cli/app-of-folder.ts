/** Which app a folder is: what its git remote `forge` names, else the folder's own name. */
import { basename } from 'node:path';
import { ForgeError, isForgeError } from '../errors.ts';
import { parseAppName } from '../names.ts';
import { runProcess } from '../run-process.ts';

/** Throws `invalid` when neither is an app's name. */
export async function appOfFolder(folder: string, path: string): Promise<string> {
  const remote = await remoteUrl(folder, path);
  try {
    return parseAppName(remote === undefined ? basename(folder).toLowerCase() : appOfUrl(remote));
  } catch (error) {
    if (!isForgeError(error)) throw error;
    const where = remote === undefined ? `the name of the folder ${folder} is no app name` : `the git remote forge (${remote}) names no app`;
    throw new ForgeError('invalid', where, { hint: 'name the app: forge deploy --app APP', cause: error });
  }
}

/** `ssh://forge@host:2222/hello`, `forge@host:hello.git`, `http://host/hello.git` → `hello` */
export const appOfUrl = (url: string): string => /[/:]([^/:]*?)(?:\.git)?\/?$/.exec(url)?.[1] ?? '';

async function remoteUrl(folder: string, path: string): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await runProcess('git', ['-C', folder, 'remote', 'get-url', 'forge'], { env: { PATH: path, LANG: 'C', GIT_TERMINAL_PROMPT: '0' } });
    return exitCode === 0 ? stdout.trim() : undefined;
  } catch {
    // A machine without git has folders without remotes.
    return undefined;
  }
}
