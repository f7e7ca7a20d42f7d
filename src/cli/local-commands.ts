/** What the commands of local-command-list.ts do. Each is imported only when it is asked for. */
import type { CommandContext } from './command-context.ts';
import type { LocalCommandEntry } from './local-command-list.ts';

/** `rest` is what follows the command's words. Resolves to the exit status. */
type Run = (rest: readonly string[], context: CommandContext) => Promise<number>;

type FirstWord = LocalCommandEntry['words'][0];

const runs: Readonly<Record<FirstWord, Run>> = {
  up: async (rest, context) => (await import('./daemon-commands.ts')).up(rest, context),
  serve: async (rest, context) => (await import('./daemon-commands.ts')).serve(rest, context),
  proxy: async (rest, context) => (await import('./daemon-commands.ts')).proxy(rest, context),
  'build-caps': async (rest, context) => (await import('./machine-commands.ts')).buildCaps(rest, context),
  firewall: async (rest, context) => (await import('./machine-commands.ts')).firewall(rest, context),
  'builder:create': async (rest, context) => (await import('./machine-commands.ts')).builderCreate(rest, context),
  supervise: async (rest, context) => (await import('./install-commands.ts')).supervise(rest, context),
  'supervise-plan': async (rest, context) => (await import('./install-commands.ts')).printSupervisePlan(rest, context),
  'systemd-unit': async (rest, context) => (await import('./install-commands.ts')).printSystemdUnit(rest, context),
  'sshd-config': async (rest, context) => (await import('./install-commands.ts')).printSshdConfig(rest, context),
  config: async (_rest, context) => (await import('./machine-commands.ts')).configReference(context),
  completion: async (rest, context) => (await import('./completion.ts')).completion(rest, context),
  deploy: async (rest, context) => (await import('./deploy-folder.ts')).deployFolder(rest, context),
  backup: async (rest, context) => (await import('./backup-to-file.ts')).backupToFile(rest, context),
  'backup:create': async (rest, context) => (await import('./backup-to-file.ts')).backupToFile(rest, context),
  restore: async (rest, context) => (await import('./restore.ts')).restore(rest, context),
  help: async (rest, context) => (await import('./local-help.ts')).localHelp(rest, context),
  version: async (rest, context) => (await import('./print-version.ts')).printVersion(rest, context),
};

export const runLocalCommand = (command: LocalCommandEntry, argv: readonly string[], context: CommandContext): Promise<number> =>
  runs[command.words[0]](argv.slice(command.words.length), context);
