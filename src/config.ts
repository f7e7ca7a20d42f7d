/**
 * One frozen object, validated whole at the start. Each key has its default, doc and example here and nowhere
 * else: `forge config docs` and docs/configuration.md are printed from `settings`. A value comes from the flag,
 * else the FORGE_… variable, else `forge.toml` in the data directory, else the default.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import type { Limits } from './domain.ts';
import { ForgeError } from './errors.ts';
import { parseDomain } from './names.ts';

interface Setting<T> {
  readonly kind: 'text' | 'number' | 'yes-no' | 'size' | 'seconds';
  readonly default: T;
  readonly doc: string;
  readonly example: string;
}

const text = (value: string, doc: string, example: string): Setting<string> => ({ kind: 'text', default: value, doc, example });
const number = (value: number, doc: string, example: string): Setting<number> => ({ kind: 'number', default: value, doc, example });
const yesNo = (value: boolean, doc: string, example: string): Setting<boolean> => ({ kind: 'yes-no', default: value, doc, example });
/** Bytes; written as `512M`, `2G` or a plain number of bytes. */
const size = (value: number, doc: string, example: string): Setting<number> => ({ kind: 'size', default: value, doc, example });
/** Milliseconds in code, written in seconds. */
const seconds = (value: number, doc: string, example: string): Setting<number> => ({ kind: 'seconds', default: value * 1000, doc, example });

const mib = 1024 * 1024;

export const settings = {
  domain: text('localhost', 'Apps answer at <app>.<domain>, forge itself at forge.<domain>.', 'apps.example.com'),
  http: number(8080, 'Port of the proxy for HTTP; 0 picks a free one.', '80'),
  ssh: number(2222, 'Port of the embedded SSH server; 0 picks a free one, -1 turns it off (the machine’s OpenSSH is the door).', '2222'),
  doorSocket: text('', 'Socket for the relay behind the machine’s OpenSSH, in a folder that its login account may enter. Default: <data>/run/door.sock.', '/run/forge-door/door.sock'),
  bind: text('0.0.0.0', 'Address that the SSH server and the proxy listen on.', '127.0.0.1'),
  publicPort: number(0, 'Port in printed URLs when something in front of forge changes it; 0 means the proxy’s own.', '80'),
  proxyDir: text('', 'State directory of the proxy: routes, sockets. Default: <data>/proxy.', '/var/lib/forge-proxy'),
  authorizedKeysFile: text('', 'File in which forge keeps its keys for the machine’s OpenSSH; empty: there is no such door.', '/var/lib/forge/ssh/authorized_keys'),
  adminKey: text('', 'File of OpenSSH public keys that become admin keys at the start.', '/root/.ssh/authorized_keys'),
  logLevel: text('info', 'Level of forge’s own log: debug, info, warn, error.', 'debug'),
  faultAt: text('', 'For tests of forge itself: the point of a deploy at which it kills itself.', 'routes-swapped'),
  appCreation: yesNo(true, 'Whether the first push to an unknown app name creates the app.', 'false'),
  dockerSocket: text('/var/run/docker.sock', 'Socket of the Docker Engine.', '/run/user/1000/docker.sock'),
  networkPool: text('10.224.0.0/12', 'Addresses for app networks, a /24 each; checked against the host’s routes.', '10.224.0.0/12'),
  builder: text('local', 'Builder for Cloud Native Buildpacks: local (made by builder:create) or an image.', 'heroku/builder:24'),
  registryPort: number(0, 'Loopback port of the image registry for buildpacks; 0 picks a free one the first time.', '5555'),
  cacheDir: text('', 'What costs time to make and can be made again (base images, lifecycle). Default: <data>/cache.', '/var/cache/forge'),
  buildMemory: size(2048 * mib, 'Memory limit of a build.', '4G'),
  buildTimeout: seconds(900, 'Time limit of a build.', '1800'),
  buildConcurrency: number(2, 'Builds at one time on this machine.', '4'),
  buildExtraCa: text('', 'PEM file of further certificate authorities that builds trust.', '/etc/ssl/certs/company.pem'),
  buildHttpProxy: text('', 'HTTP proxy for builds.', 'http://proxy.example.com:3128'),
  buildHttpsProxy: text('', 'HTTPS proxy for builds.', 'http://proxy.example.com:3128'),
  buildNoProxy: text('', 'Hosts that builds reach without a proxy.', 'localhost,127.0.0.1'),
  sourceMaxBytes: size(2048 * mib, 'Largest source (all files of a push together).', '4G'),
  sourceMaxEntries: number(200_000, 'Most files and folders in a source.', '500000'),
  volumeMaxBytes: size(100 * 1024 * mib, 'Largest backup that volumes:restore takes: all files of it together.', '500G'),
  minFreeBytes: size(1024 * mib, 'A deploy is refused when the disk has less free than this.', '5G'),
  keepReleases: number(10, 'Images of releases that are kept per app, the one that serves among them; releases:keep sets it for one app.', '5'),
  keepImageBytes: size(50 * 1024 * mib, 'All kept images together: beyond it, the images that served longest ago go first.', '20G'),
  keepDeployments: number(100, 'Deployments that are kept per app, with their logs.', '500'),
  keepAudit: number(100_000, 'Records of the audit that are kept, of the whole machine.', '1000000'),
  keepLogBytes: size(512 * mib, 'What instances printed: kept bytes per app.', '2G'),
  buildCacheBytes: size(10 * 1024 * mib, 'Build caches: of the Docker Engine, and of all buildpack builds together. 0 leaves them alone.', '20G'),
  memory: size(512 * mib, 'Memory limit of an instance unless the app sets its own.', '1G'),
  cpuShares: number(1024, 'CPU weight of an instance unless the app sets its own.', '512'),
  pids: number(512, 'Process limit of an instance unless the app sets its own.', '1024'),
  readinessTimeout: seconds(60, 'How long a new instance may take until it is ready.', '120'),
  drainTimeout: seconds(30, 'How long requests in flight may take to finish on a retiring instance.', '60'),
  webSocketGrace: seconds(5, 'How long WebSockets live on after a swap before they get a close frame.', '30'),
  jobTimeout: seconds(86_400, 'How long a scheduled run or a detached command may take, unless it says otherwise; then it is stopped.', '3600'),
  jobsPerApp: number(25, 'Scheduled runs and detached commands of one app at one time; a scheduled run over it is skipped and recorded, a detached command refused.', '50'),
  jobsPerMachine: number(100, 'Scheduled runs and detached commands of all apps at one time.', '40'),
  stopTimeout: seconds(10, 'Time between SIGTERM and SIGKILL.', '30'),
  taskTimeout: seconds(3600, 'Time limit of one task of a deploy: predeploy, release, postdeploy.', '600'),
  backupSchedule: text('', 'When forge makes a backup by itself: minute, hour, day, month, weekday in the machine’s time zone, or @daily and the like. Empty: never.', '30 4 * * *'),
  backupDir: text('', 'Folder of scheduled backups; another disk is better. Default: <data>/backups.', '/mnt/backups/forge'),
  backupKeep: number(7, 'How many scheduled backups stay.', '14'),
  proxyWorkers: number(0, 'Workers of the proxy; 0 means one per core above one.', '2'),
  proxyHeaderTimeout: seconds(15, 'How long a client may take to send a request head.', '30'),
  proxyIdleTimeout: seconds(75, 'How long an idle keep-alive connection stays open.', '120'),
  proxyResponseTimeout: seconds(60, 'How long an app may take until its response head; then 504.', '300'),
  proxyMaxHeadBytes: size(32 * 1024, 'Largest request head.', '64K'),
} as const;

type Settings = typeof settings;
type Value<K extends keyof Settings> = Settings[K] extends Setting<infer T> ? T : never;

/** Every setting with its type, plus the directories that follow from `data`. */
export type Config = { readonly [K in keyof Settings]: Value<K> } & {
  /** Absolute path of the data directory. */
  readonly data: string;
};

export interface ConfigInput {
  readonly data: string;
  /** Values from flags, by setting name. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads and checks everything. Throws `invalid` naming the key, where it stands, what was expected and found. */
export function loadConfig(input: ConfigInput): Config {
  const data = resolve(input.data);
  const file = readTomlFile(join(data, 'forge.toml'));
  for (const key of Object.keys(file)) {
    if (!(key in settings)) throw new ForgeError('invalid', `forge.toml: unknown key ${JSON.stringify(key)}`, { hint: 'forge config docs prints every key' });
  }
  const values: Record<string, unknown> = { data };
  for (const [key, setting] of Object.entries(settings)) {
    const envName = environmentName(key);
    const [raw, where] =
      input.flags[key] !== undefined ? [input.flags[key], `--${kebab(key)}`]
      : input.env[envName] !== undefined ? [input.env[envName], envName]
      : file[key] !== undefined ? [file[key], `forge.toml: ${key}`]
      : [setting.default, 'default'];
    values[key] = where === 'default' ? raw : readValue(setting.kind, raw, where);
  }
  values['proxyDir'] ||= join(data, 'proxy');
  values['doorSocket'] ||= join(data, 'run', 'door.sock');
  values['backupDir'] ||= join(data, 'backups');
  values['cacheDir'] ||= join(data, 'cache');
  const config = values as unknown as Config;
  parseDomain(config.domain);
  return Object.freeze(config);
}

/** `minFreeBytes` → `FORGE_MIN_FREE_BYTES` */
export const environmentName = (key: string): string => `FORGE_${kebab(key).replaceAll('-', '_').toUpperCase()}`;

/** `minFreeBytes` → `min-free-bytes` */
export const kebab = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The Docker Engine gives an instance no less. */
export const minMemoryBytes = 6 * mib;

/** Limits of an instance whose app sets none of its own. */
export const defaultLimits = ({ memory, cpuShares, pids }: Pick<Config, 'memory' | 'cpuShares' | 'pids'>): Limits => ({ memoryBytes: memory, cpuShares, pids });

/** The reference of every key as Markdown, as docs/configuration.md holds it. */
export function configDocs(): string {
  const rows = Object.entries(settings).map(([key, setting]) => {
    const shown = formatDefault(setting);
    return `| \`${key}\` | \`--${kebab(key)}\` | \`${environmentName(key)}\` | ${shown} | ${setting.doc} | \`${setting.example}\` |`;
  });
  return ['| key in forge.toml | flag | variable | default | what it does | example |', '|---|---|---|---|---|---|', ...rows, ''].join('\n');
}

function formatDefault(setting: Setting<unknown>): string {
  if (setting.default === '') return '–';
  if (setting.kind === 'size') return `\`${formatSize(setting.default as number)}\``;
  if (setting.kind === 'seconds') return `\`${(setting.default as number) / 1000}\` s`;
  return `\`${String(setting.default)}\``;
}

/** Bytes in the largest unit that divides them: `512M`. */
export function formatSize(bytes: number): string {
  const units: [string, number][] = [['G', 1024 ** 3], ['M', 1024 ** 2], ['K', 1024]];
  for (const [unit, factor] of units) if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  return String(bytes);
}

/** `512M`, `2g`, `65536` → bytes; `undefined` if it is none of these. */
export function parseSize(value: string): number | undefined {
  const match = /^(\d{1,12})([kmgt])?(?:i?b)?$/i.exec(value);
  if (!match?.[1]) return undefined;
  const power = ' kmgt'.indexOf((match[2] ?? ' ').toLowerCase());
  return Number(match[1]) * 1024 ** power;
}

function readTomlFile(path: string): Record<string, unknown> {
  if (!existsSync(path)) return {};
  try {
    return parseToml(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ForgeError('invalid', `${path} is not valid TOML: ${(error as Error).message}`, { cause: error });
  }
}

function readValue(kind: Setting<unknown>['kind'], raw: unknown, where: string): unknown {
  const fail = (expected: string) => new ForgeError('invalid', `${where}: expected ${expected}, found ${JSON.stringify(raw)}`);
  const written = String(raw);
  switch (kind) {
    case 'text':
      if (typeof raw !== 'string') throw fail('text');
      return raw;
    case 'yes-no':
      if (!['true', 'false', '1', '0'].includes(written)) throw fail('true or false');
      return written === 'true' || written === '1';
    case 'number':
    case 'seconds': {
      const value = Number(written);
      if (written === '' || !Number.isFinite(value) || (kind === 'number' && !Number.isInteger(value))) throw fail('a number');
      return kind === 'seconds' ? value * 1000 : value;
    }
    case 'size': {
      const bytes = parseSize(written);
      if (bytes === undefined) throw fail('a size such as 512M');
      return bytes;
    }
  }
}
