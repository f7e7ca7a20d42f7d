/** The containers of an app, as the engine has them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { RunningForge } from './forge.ts';

export const idOf = ({ data }: RunningForge): string => readFileSync(join(data, 'id'), 'utf8').trim();

export async function containersOf(forge: RunningForge, app: string): Promise<readonly { readonly release: string; readonly state: string; readonly name: string }[]> {
  const { stdout } = await execa('docker', ['ps', '-a', '--filter', `label=forge.data=${idOf(forge)}`, '--filter', `label=forge.app=${app}`, '--format', '{{.Label "forge.release"}} {{.State}} {{.Names}}']);
  return stdout.split('\n').filter(Boolean).map((line) => {
    const [release = '', state = '', name = ''] = line.split(' ');
    return { release, state, name };
  });
}

/** Looks again and again how many instances of the app run at one time. */
export function watchOverlap(forge: RunningForge, app: string): { stop(): Promise<readonly string[]> } {
  const together = new Set<string>();
  let isOver = false;
  const looking = (async () => {
    while (!isOver) {
      const running = (await containersOf(forge, app)).filter(({ state }) => state === 'running');
      if (running.length > 1) together.add(`ran at one time: ${running.map(({ name, release }) => `${name} of v${release}`).join()}`);
    }
  })();
  const stop = async (): Promise<readonly string[]> => {
    isOver = true;
    await looking;
    return [...together];
  };
  return { stop };
}
