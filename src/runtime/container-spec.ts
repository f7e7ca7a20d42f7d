/** From a release to what the engine is asked to create: pure, no engine involved. */
import { rootCapabilities } from '../capabilities.ts';
import type { Image, Limits, ProcessCommand, Release } from '../domain.ts';
import { mountVolume } from '../docker/volumes.ts';
import { blankLabels, labels, oneOffType } from '../labels.ts';
import { volumeLabels } from './volume-container.ts';
import type { ResolvedMount } from './volumes.ts';

/** Entrypoints that insist on being PID 1 or reap by themselves; the engine's init would be in their way. */
const ownInits = new Set(['init', 'systemd', 'my_init', 'tini', 'tini-static', 'dumb-init', 's6-svscan', 'catatonit']);

/** The engine's log files of one container: bounded, and large enough that the collector can catch up. */
const logConfig = { Type: 'json-file', Config: { 'max-size': '50m', 'max-file': '3' } } as const;

export interface InstanceSpecInput {
  readonly release: Release;
  readonly deploymentId: string;
  readonly dataId: string;
  readonly type: string;
  readonly ordinal: number;
  /** Name of the container in the engine. */
  readonly containerName: string;
  readonly network: string;
  /** On that network, assigned by forge. */
  readonly address: string;
  readonly command: ProcessCommand;
  readonly limits: Limits;
  /** The release's volumes, prepared. */
  readonly mounts: readonly ResolvedMount[];
  /** Entrypoint that the image itself has. */
  readonly imageEntrypoint: readonly string[];
  readonly stopTimeoutMs: number;
  /** The start of forge that it goes with; `undefined`: it outlives forge. */
  readonly startId?: string;
}

/** Options of a container that runs one instance; it does not restart until it is promoted. */
export function instanceSpec(input: InstanceSpecInput) {
  const { release, type, ordinal, command } = input;
  const name = `${type}.${ordinal}`;
  return {
    ...common(input, name),
    ...(command.entrypoint === undefined ? {} : { Entrypoint: [...command.entrypoint] }),
    ...(command.command === undefined ? {} : { Cmd: [...command.command] }),
    Env: environment(release, name),
    Labels: labelsOf(input, type, name),
    HostConfig: {
      ...confinement(input, command.entrypoint ?? input.imageEntrypoint),
      LogConfig: logConfig,
    },
  };
}

export interface OneOffSpecInput extends Omit<InstanceSpecInput, 'type' | 'ordinal' | 'command' | 'imageEntrypoint'> {
  /** Unique among the app's one-off containers. */
  readonly id: string;
  readonly argv: readonly string[];
  /** Variables of this command alone, before the app's config. */
  readonly env: Readonly<Record<string, string>>;
  readonly hasTerminal: boolean;
  /** `cron.nightly`; `undefined`: `run.<id>`. */
  readonly name?: string;
}

/**
 * Options of a container that runs one command of a person's. The words of the command are kept as they are: the
 * image's entrypoint is left out, except that buildpack images go through their launcher for the build's environment.
 */
export function oneOffSpec(input: OneOffSpecInput) {
  const { release, argv, hasTerminal } = input;
  const name = input.name ?? `${oneOffType}.${input.id}`;
  const { launcher } = release.image;
  return {
    ...common(input, name),
    ...(launcher === undefined ? { Entrypoint: [...argv], Cmd: [] } : { Entrypoint: [launcher], Cmd: ['--', ...argv] }),
    Env: environment(release, name, input.env),
    Labels: labelsOf(input, oneOffType, name),
    Tty: hasTerminal,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      ...confinement(input, []),
      // The output goes to the person alone; nothing of it is kept on disk.
      LogConfig: { Type: 'none', Config: {} },
    },
  };
}

/** As `oneOffSpec`, for a command that nobody waits for: no input, and the engine keeps its output for the collector. */
export function jobSpec(input: Omit<OneOffSpecInput, 'hasTerminal'> & { readonly name: string }) {
  const spec = oneOffSpec({ ...input, hasTerminal: false });
  return {
    ...spec,
    Labels: { ...spec.Labels, [labels.job]: input.id },
    OpenStdin: false,
    StdinOnce: false,
    AttachStdin: false,
    HostConfig: { ...spec.HostConfig, LogConfig: logConfig },
  };
}

function common(input: Pick<InstanceSpecInput, 'containerName' | 'release' | 'network' | 'address' | 'stopTimeoutMs'>, name: string) {
  return {
    name: input.containerName,
    Image: input.release.image.reference,
    Hostname: name,
    StopTimeout: Math.ceil(input.stopTimeoutMs / 1000),
    NetworkingConfig: { EndpointsConfig: { [input.network]: { IPAMConfig: { IPv4Address: input.address } } } },
  };
}

/**
 * The app's config, then what forge knows and the app cannot change: PORT, the place of the process (FORGE_APP,
 * FORGE_RELEASE, DYNO as Heroku and Dokku name `web.1`) and GIT_REV when a commit was deployed.
 */
function environment(release: Release, name: string, extra: Readonly<Record<string, string>> = {}): string[] {
  const variables = {
    ...release.config,
    ...extra,
    PORT: String(release.port),
    FORGE_APP: release.app,
    FORGE_RELEASE: `v${release.version}`,
    DYNO: name,
    ...(release.commit === undefined ? {} : { GIT_REV: release.commit }),
  };
  return Object.entries(variables).map(([key, value]) => `${key}=${value}`);
}

function labelsOf({ release, deploymentId, dataId, startId }: Pick<InstanceSpecInput, 'release' | 'deploymentId' | 'dataId' | 'startId'>, type: string, name: string) {
  return {
    ...blankLabels,
    [labels.app]: release.app,
    [labels.release]: String(release.version),
    [labels.type]: type,
    [labels.instance]: name,
    [labels.deployment]: deploymentId,
    [labels.port]: String(release.port),
    [labels.data]: dataId,
    ...(startId === undefined ? {} : { [labels.start]: startId }),
  };
}

/** Limits and privileges; nothing of the host is mounted but the app's own volumes. */
function confinement({ release, network, limits, mounts, dataId }: Pick<InstanceSpecInput, 'release' | 'network' | 'limits' | 'mounts' | 'dataId'>, entrypoint: readonly string[]) {
  return {
    NetworkMode: network,
    RestartPolicy: { Name: 'no' },
    // PID 1 gets no default signal handlers: without an init, SIGTERM would not stop an app that does not catch it.
    Init: !hasOwnInit(entrypoint),
    CapDrop: ['ALL'],
    CapAdd: mayHaveCapabilities(release.image) ? [...(release.settings.capabilities ?? rootCapabilities)] : [],
    SecurityOpt: ['no-new-privileges'],
    Memory: limits.memoryBytes,
    // Equal to the memory: no swap, so that the limit means what it says.
    MemorySwap: limits.memoryBytes,
    CpuShares: limits.cpuShares,
    PidsLimit: limits.pids,
    ...(mounts.length === 0 ? {} : { Mounts: mounts.map(({ engineName, path }) => mountVolume({ volume: engineName, path, labels: volumeLabels(dataId) })) }),
  };
}

const mayHaveCapabilities = ({ builder, user }: Image): boolean => (builder === 'dockerfile' || builder === 'image') && isRoot(user);

const isRoot = (user: string): boolean => ['', '0', 'root'].includes(user.split(':')[0] ?? '');

const hasOwnInit = ([first]: readonly string[]): boolean => first !== undefined && ownInits.has(first.split('/').at(-1) ?? '');
