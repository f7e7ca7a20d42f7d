/** `forge restore`: a backup becomes this machine's forge. Runs without one. */
import { resolve } from 'node:path';
import { ForgeError } from '../errors.ts';
import { createReport } from '../report.ts';
import { readConfigFlags } from './config-flags.ts';
import type { CommandContext } from './command-context.ts';
import { adminSocketOf } from './data-directory.ts';
import { localHelp } from './local-help.ts';
import { untilSignal } from './until-signal.ts';

const switches = ['--check', '--replace', '--keep-volumes'] as const;

export async function restore(rest: readonly string[], context: CommandContext): Promise<number> {
  const given = new Set(rest.filter((word) => (switches as readonly string[]).includes(word)));
  const { config, words, help } = readConfigFlags(rest.filter((word) => !given.has(word)), context);
  if (help) return await localHelp(['restore'], context);
  const [name, ...more] = words;
  if (name === undefined || more.length > 0) throw new ForgeError('invalid', 'forge restore takes one file', { hint: 'forge restore FILE [--check] [--replace] [--keep-volumes]' });
  const file = resolve(context.cwd, name);
  const report = createReport([context.stdout]);
  const signal = untilSignal();
  const { checkBackup, restoreBackup } = await import('../backup/restore-backup.ts');
  if (given.has('--check')) {
    const { head, contents } = await checkBackup(file, signal);
    report.step(`${file} is whole: ${describe(head, contents)}`);
    contents.missing.forEach((what) => report.problem(`Not in the backup: ${what}`));
    return 0;
  }
  const { refuseSecondServer } = await import('../control/socket-file.ts');
  await refuseSecondServer(adminSocketOf(config.data));
  const { connectDocker } = await import('../docker/connect.ts');
  const { head, contents, setAside } = await restoreBackup(
    { file, data: config.data, isReplacing: given.has('--replace'), keepsVolumes: given.has('--keep-volumes'), onStep: (text) => report.step(text), signal },
    connectDocker(config.dockerSocket),
  );
  contents.missing.forEach((what) => report.problem(`It was not in the backup: ${what}`));
  if (setAside !== undefined) report.body(`What was there before is in ${setAside}`);
  report.body(`It was written at ${head.domain}. Domain, ports and other settings outside of the data directory are this machine’s own.`);
  report.done(`Restored into ${config.data}: ${describe(head, contents)}. Start forge, and everything answers again.`);
  return 0;
}

const describe = ({ createdAt, forge }: { readonly createdAt: string; readonly forge: string }, { apps }: { readonly apps: readonly string[] }): string =>
  `${apps.length} ${apps.length === 1 ? 'app' : 'apps'} as of ${createdAt}, written by forge ${forge}`;
