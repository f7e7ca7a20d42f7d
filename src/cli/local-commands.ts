/** Commands that this machine does itself; every other is sent to the running forge. Each is imported only when it is asked for. */
import type { ReadStream, WriteStream } from 'node:tty';

export interface CommandContext {
  /** Absolute path of the data directory. */
  readonly data: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly stderr: WriteStream;
}

export interface LocalCommand {
  /** Words that the command line begins with. */
  readonly words: readonly string[];
  readonly usage: string;
  readonly summary: string;
  /** `rest` is what follows the words. Resolves to the exit status. */
  readonly run: (rest: readonly string[], context: CommandContext) => Promise<number>;
}

export const localCommands: readonly LocalCommand[] = [
  {
    words: ['up'],
    usage: 'up [--data DIR] [--domain D] [--http PORT] [--ssh PORT] [--admin-key FILE] [--json]',
    summary: 'Run forge and its proxy in the foreground, with data in ./.forge',
    run: async (rest, context) => (await import('./daemon-commands.ts')).up(rest, context),
  },
  {
    words: ['serve'],
    usage: 'serve [--data DIR] [--json]',
    summary: 'Run the control plane alone, beside a proxy that runs already',
    run: async (rest, context) => (await import('./daemon-commands.ts')).serve(rest, context),
  },
  {
    words: ['proxy'],
    usage: 'proxy [--data DIR] [--proxy-dir DIR]',
    summary: 'Run the proxy alone',
    run: async (rest, context) => (await import('./daemon-commands.ts')).proxy(rest, context),
  },
  {
    words: ['firewall'],
    usage: 'firewall apply|remove [--data DIR]',
    summary: 'Keep containers away from what this machine listens on (root)',
    run: async (rest, context) => (await import('./machine-commands.ts')).firewall(rest, context),
  },
  {
    words: ['builder:create'],
    usage: 'builder:create [--data DIR] [--cache-dir DIR]',
    summary: 'Make the local builder for buildpacks, or renew it when an input changed',
    run: async (rest, context) => (await import('./machine-commands.ts')).builderCreate(rest, context),
  },
  {
    words: ['supervise'],
    usage: 'supervise FILE',
    summary: 'Keep the programs of a plan running where no systemd does (bin/install)',
    run: async (rest, context) => (await import('./install-commands.ts')).supervise(rest, context),
  },
  {
    words: ['supervise-plan'],
    usage: 'supervise-plan --daemon-user U --proxy-user U --log-dir DIR --program PATH --proxy-generation G --serve-generation G',
    summary: 'Print the plan that forge supervise reads (bin/install)',
    run: async (rest, context) => (await import('./install-commands.ts')).printSupervisePlan(rest, context),
  },
  {
    words: ['systemd-unit'],
    usage: 'systemd-unit forge|forge-proxy|forge-firewall --data DIR --proxy-dir DIR --door-dir DIR --cache-dir DIR',
    summary: 'Print a unit of systemd (bin/install)',
    run: async (rest, context) => (await import('./install-commands.ts')).printSystemdUnit(rest, context),
  },
  {
    words: ['sshd-config'],
    usage: 'sshd-config --login-user U --keys-user U --keys-file FILE',
    summary: 'Print the drop-in that makes the machine’s OpenSSH a door (bin/install)',
    run: async (rest, context) => (await import('./install-commands.ts')).printSshdConfig(rest, context),
  },
  {
    words: ['config', 'docs'],
    usage: 'config docs',
    summary: 'Print every setting of forge as Markdown',
    run: async (_rest, context) => (await import('./machine-commands.ts')).configReference(context),
  },
  {
    words: ['completion'],
    usage: 'completion bash|zsh|fish',
    summary: 'Print the completion of a shell: source <(forge completion bash)',
    run: async (rest, context) => (await import('./completion.ts')).completion(rest, context),
  },
  {
    words: ['deploy'],
    usage: 'deploy [DIR] [--app APP] | deploy [APP] --image REF',
    summary: 'Deploy a folder, or an image that was built elsewhere',
    run: async (rest, context) => (await import('./deploy-folder.ts')).deployFolder(rest, context),
  },
  {
    words: ['help'],
    usage: 'help [COMMAND]',
    summary: 'Show all commands, or one',
    run: async (rest, context) => (await import('./local-help.ts')).localHelp(rest, context),
  },
  {
    words: ['version'],
    usage: 'version',
    summary: 'Print the version of forge',
    run: async (rest, context) => (await import('./print-version.ts')).printVersion(rest, context),
  },
];

/** The local command that the words begin with, if any. */
export const findLocalCommand = (argv: readonly string[]): LocalCommand | undefined =>
  localCommands.find(({ words }) => words.every((word, index) => argv[index] === word));
