/** What git is started with: pure functions, so that every flag is tested. Refs and paths always follow `--`. */

/** `full`: one conversation, as over SSH. `advertise` and `stateless`: the two halves of smart HTTP. */
export type GitMode = 'full' | 'advertise' | 'stateless';

export interface ServiceArgs {
  readonly repositoryPath: string;
  readonly mode: GitMode;
}

export interface ReceivePackArgs extends ServiceArgs {
  /** Folder that holds `pre-receive`. */
  readonly hooksPath: string;
  /** Largest pack that is taken; 0: any. */
  readonly maxPackBytes: number;
}

/** Settings of every git that works on a repository of forge. */
const commonSettings = (repositoryPath: string): readonly string[] => [
  // A restored or moved data directory may have another owner.
  `safe.directory=${repositoryPath}`,
  // Larger files are streamed instead of held in memory and compared.
  'core.bigFileThreshold=16m',
  'pack.windowMemory=64m',
  'gc.auto=0',
  'maintenance.auto=false',
];

const receiveSettings = ({ hooksPath, maxPackBytes }: ReceivePackArgs): readonly string[] => [
  `core.hooksPath=${hooksPath}`,
  // The ref is the witness of a deploy: after a power cut it and its objects must be there.
  'core.fsync=committed,reference',
  'receive.denyDeletes=false',
  'receive.denyDeleteCurrent=ignore',
  'receive.denyNonFastForwards=false',
  'receive.autogc=false',
  'receive.shallowUpdate=true',
  // A pack stays the pack that came: half the work for a large push, fewer files for a small one. `compact` joins them.
  'receive.unpackLimit=1',
  'receive.advertisePushOptions=false',
  // Each thread may hold two objects of the size that `GIT_ALLOC_LIMIT` allows.
  'pack.threads=2',
  `receive.maxInputSize=${maxPackBytes}`,
  // Whoever clones an app gets what others pushed. The three exceptions are harmless and common in old histories.
  'receive.fsckObjects=true',
  'receive.fsck.badTimezone=ignore',
  'receive.fsck.missingSpaceBeforeDate=ignore',
  'receive.fsck.zeroPaddedFilemode=ignore',
];

const uploadSettings: readonly string[] = ['uploadpack.allowFilter=true', 'uploadpack.allowAnySHA1InWant=false'];

const modeFlags: Readonly<Record<GitMode, readonly string[]>> = {
  full: [],
  advertise: ['--stateless-rpc', '--advertise-refs'],
  stateless: ['--stateless-rpc'],
};

const flags = (settings: readonly string[]): readonly string[] => settings.flatMap((setting) => ['-c', setting]);

export const receivePackArgs = (args: ReceivePackArgs): readonly string[] => [
  ...flags([...commonSettings(args.repositoryPath), ...receiveSettings(args)]),
  'receive-pack',
  ...modeFlags[args.mode],
  '--',
  args.repositoryPath,
];

export const uploadPackArgs = (args: ServiceArgs): readonly string[] => [
  ...flags([...commonSettings(args.repositoryPath), ...uploadSettings]),
  'upload-pack',
  '--strict',
  ...modeFlags[args.mode],
  '--',
  args.repositoryPath,
];

export const initArgs = (path: string): readonly string[] => ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', '--', path];

/** Every ref and the deploy branch, as they are; nothing is shared with the original, which may go. */
export const cloneArgs = (from: string, to: string): readonly string[] => [...flags(commonSettings(from)), 'clone', '--quiet', '--mirror', '--no-local', '--template=', '--', from, to];

/** Takes every ref of a bundle that somebody made: no hook runs, every object is checked. */
export const fetchBundleArgs = (repositoryPath: string, bundle: string): readonly string[] =>
  repositoryArgs(
    repositoryPath,
    ...flags([
      'core.hooksPath=/dev/null',
      'core.fsync=committed,reference',
      'protocol.allow=never',
      'protocol.file.allow=always',
      'pack.threads=2',
      'fetch.fsckObjects=true',
      'fetch.fsck.badTimezone=ignore',
      'fetch.fsck.missingSpaceBeforeDate=ignore',
      'fetch.fsck.zeroPaddedFilemode=ignore',
    ]),
    'fetch',
    '--quiet',
    '--no-auto-maintenance',
    '--no-tags',
    '--no-recurse-submodules',
    '--no-write-fetch-head',
    '--',
    bundle,
    '+refs/heads/*:refs/heads/*',
    '+refs/tags/*:refs/tags/*',
  );

/** A command that reads or changes one repository. */
export const repositoryArgs = (repositoryPath: string, ...words: readonly string[]): readonly string[] => [
  ...flags(commonSettings(repositoryPath)),
  `--git-dir=${repositoryPath}`,
  ...words,
];

/** Joins packs so that each is at least twice the size of the next; unreachable objects stay. */
export const compactArgs = (path: string): readonly string[] => repositoryArgs(path, '-c', 'pack.threads=1', 'repack', '-d', '-q', '--geometric=2');

/** The whole environment of git: nothing of the machine's or a person's configuration is read. */
export const gitEnvironment = (nodeFolder: string): Readonly<Record<string, string>> => ({
  PATH: `${nodeFolder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  HOME: '/nonexistent',
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  // A pack of a few kilobytes can hold an object of any size, which git builds in memory unless it is a large file
  // that comes as it is. Clients send no changes of files above 512 MiB.
  GIT_ALLOC_LIMIT: '640m',
});

const protocolVersion = /^version=[0-9]$/;

/** The client's wish for a protocol version as git reads it; anything but `version=N` is left out. */
export const protocolEnvironment = (gitProtocol: string | undefined): Readonly<Record<string, string>> =>
  gitProtocol !== undefined && protocolVersion.test(gitProtocol) ? { GIT_PROTOCOL: gitProtocol } : {};
