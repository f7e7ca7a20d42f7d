/** Commands that this machine does itself; every other is sent to the running forge. What each does is in local-commands.ts. */
export interface LocalCommand {
  /** Words that the command line begins with. */
  readonly words: readonly string[];
  readonly usage: string;
  readonly summary: string;
  /** For bin/install: not offered to people, though `help` knows it. */
  readonly isInternal?: boolean;
}

export const localCommandList = [
  { words: ['up'], usage: 'up [--data DIR] [--domain D] [--http PORT] [--ssh PORT] [--admin-key FILE] [--json]', summary: 'Run forge and its proxy in the foreground, with data in ./.forge' },
  { words: ['serve'], usage: 'serve [--data DIR] [--json]', summary: 'Run the control plane alone, beside a proxy that runs already' },
  { words: ['proxy'], usage: 'proxy [--data DIR] [--proxy-dir DIR] [--json]', summary: 'Run the proxy alone' },
  { words: ['firewall'], usage: 'firewall apply|remove [--data DIR]', summary: 'Keep containers away from what this machine listens on (root)' },
  { words: ['build-caps'], usage: 'build-caps [--data DIR]', summary: 'Cap what all Dockerfile builds take together, so that apps do not suffer (root)' },
  { words: ['builder:create'], usage: 'builder:create [--data DIR] [--cache-dir DIR]', summary: 'Make the local builder for buildpacks, or renew it when an input changed' },
  { words: ['supervise'], usage: 'supervise FILE', summary: 'Keep the programs of a plan running where no systemd does (bin/install)', isInternal: true },
  {
    words: ['supervise-plan'],
    usage: 'supervise-plan --daemon-user U --proxy-user U --log-dir DIR --program PATH --proxy-generation G --serve-generation G',
    summary: 'Print the plan that forge supervise reads (bin/install)',
    isInternal: true,
  },
  {
    words: ['systemd-unit'],
    usage: 'systemd-unit forge|forge-proxy|forge-firewall-early|forge-firewall --data DIR --proxy-dir DIR --door-dir DIR --cache-dir DIR',
    summary: 'Print a unit of systemd (bin/install)',
    isInternal: true,
  },
  {
    words: ['sshd-config'],
    usage: 'sshd-config --login-user U --keys-user U --keys-file FILE',
    summary: 'Print the drop-in that makes the machine’s OpenSSH a door (bin/install)',
    isInternal: true,
  },
  { words: ['config', 'docs'], usage: 'config docs', summary: 'Print every setting of forge as Markdown' },
  { words: ['completion'], usage: 'completion bash|zsh|fish', summary: 'Print the completion of a shell: source <(forge completion bash)' },
  { words: ['deploy'], usage: 'deploy [DIR] [--app APP] | deploy [APP] --image REF', summary: 'Deploy a folder, or an image that was built elsewhere' },
  { words: ['backup'], usage: 'backup [--to FILE] [--logs]', summary: 'Write everything of the running forge into one file' },
  { words: ['backup:create'], usage: 'backup:create [--to FILE] [--logs]', summary: 'The same as forge backup', isInternal: true },
  { words: ['restore'], usage: 'restore FILE [--check] [--replace] [--keep-volumes] [--data DIR]', summary: 'Make a backup this machine’s forge; before it starts' },
  { words: ['help'], usage: 'help [COMMAND]', summary: 'Show all commands, or one' },
  { words: ['version'], usage: 'version', summary: 'Print the version of forge' },
] as const satisfies readonly LocalCommand[];

export type LocalCommandEntry = (typeof localCommandList)[number];

/** Those that people type. */
export const offeredLocalCommands: readonly LocalCommand[] = localCommandList.filter((command: LocalCommand) => !command.isInternal);

/** The local command that the words begin with, if any. */
export const findLocalCommand = (argv: readonly string[]): LocalCommandEntry | undefined =>
  localCommandList.find(({ words }) => words.every((word, index) => argv[index] === word));
