/** The three containers of a build as values: analyze | detect + restore + build | export. */
import type { ContainerCreateOptions } from '../../docker/connect.ts';
import { mountVolume } from '../../docker/volumes.ts';
import type { BuilderFacts } from './builder-facts.ts';
import type { RegistryAccess } from './registry-client.ts';

const mib = 1024 * 1024;
/** The lifecycle itself needs little; what it reads is the app's and may be large. */
const lifecycleMemoryBytes = 1024 * mib;
const lifecyclePids = 256;
const buildPids = 4096;
/** Half of an app's weight: building never starves what serves. */
const buildCpuShares = 512;

/** Written by the shell of the build container between phases; never part of what people read. */
export const phaseMark = '\x1e';

/** Follows `phaseMark` when a failed build was hit by the kernel at its memory limit. */
export const outOfMemoryMark = 'oom';

/** The container's own cgroup, v2 and v1, knows surely; the engine's OOMKilled comes late or never. */
const tellOutOfMemory = [
  'for events in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do',
  'if [ -r "$events" ]; then while read -r key count; do',
  `if [ "$key" = oom_kill ] && [ "$count" != 0 ]; then printf '\\036${outOfMemoryMark}\\n'; fi;`,
  'done <"$events"; fi; done',
].join(' ');

export type PhaseName = 'analyze' | 'build' | 'export';

export interface BuildPlace {
  readonly app: string;
  readonly deploymentId: string;
  readonly builder: BuilderFacts;
  readonly registry: RegistryAccess;
  /** `host:port/apps/<app>:latest` */
  readonly image: string;
  /** `host:port/run/…@sha256:…` */
  readonly runImage: string;
  readonly layersVolume: string;
  readonly workspaceVolume: string;
  readonly cacheVolume: string;
  /** Network of the container that runs the app's code. */
  readonly network: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cacheLabels: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly proxies: readonly string[];
  readonly hasOrder: string | undefined;
}

/**
 * Build and export are started early and wait for a line on stdin: a container's start is then not on the way from one
 * phase to the next. Neither holds credentials that the other phase's code could reach: they share volumes only.
 */
const scripts: Readonly<Record<PhaseName, string>> = {
  analyze: 'exec /cnb/lifecycle/analyzer "$@"',
  build: [
    'read -r _',
    "printf '\\036detect\\n'",
    '/cnb/lifecycle/detector',
    "printf '\\036restore\\n'",
    '/cnb/lifecycle/restorer',
    "printf '\\036build\\n'",
    `{ /cnb/lifecycle/builder </dev/null || { status=$?; ${tellOutOfMemory}; exit $status; }; }`,
  ].join(' && '),
  export: 'read -r _ && exec /cnb/lifecycle/exporter "$@"',
};

/** The container of a phase: the builder's own user, nothing but that user's rights, limits on everything. */
export function phaseContainer(phase: PhaseName, place: BuildPlace): ContainerCreateOptions {
  const { builder } = place;
  const isBuild = phase === 'build';
  return {
    name: `forge-${phase}-${place.deploymentId}`,
    Image: builder.id,
    User: `${builder.uid}:${builder.gid}`,
    Entrypoint: ['/bin/sh', '-c', scripts[phase], 'forge'],
    Cmd: isBuild ? [] : [place.image],
    WorkingDir: '/layers',
    Env: environmentOf(phase, place),
    Labels: { ...place.labels, 'forge.phase': phase },
    ...(phase === 'analyze' ? {} : { OpenStdin: true, StdinOnce: true, AttachStdin: true }),
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      NetworkMode: isBuild ? place.network : `container:${place.registry.containerId}`,
      Mounts: mountsOf(phase, place),
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: isBuild ? place.memoryBytes : lifecycleMemoryBytes,
      MemorySwap: isBuild ? place.memoryBytes : lifecycleMemoryBytes,
      CpuShares: buildCpuShares,
      PidsLimit: isBuild ? buildPids : lifecyclePids,
      LogConfig: { Type: 'none', Config: {} },
    },
  };
}

function environmentOf(phase: PhaseName, place: BuildPlace): string[] {
  const { builder, registry } = place;
  const common = [`CNB_PLATFORM_API=${builder.platformApi}`, 'CNB_NO_COLOR=true', 'CNB_LAYERS_DIR=/layers', 'CNB_APP_DIR=/workspace', `CNB_USER_ID=${builder.uid}`, `CNB_GROUP_ID=${builder.gid}`];
  if (phase === 'build') {
    return [...common, 'CNB_CACHE_DIR=/cache', 'CNB_PLATFORM_DIR=/platform', ...(place.hasOrder ? [`CNB_ORDER_PATH=${place.hasOrder}`] : []), ...place.proxies];
  }
  const { username, password } = registry.login;
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  return [
    ...common,
    `CNB_REGISTRY_AUTH=${JSON.stringify({ [registry.host]: `Basic ${basic}` })}`,
    // Without these the lifecycle asks the clouds' metadata services first.
    'CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON=true',
    'CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE=true',
    ...(phase === 'analyze' ? [`CNB_RUN_IMAGE=${place.runImage}`] : ['CNB_CACHE_DIR=/cache']),
  ];
}

function mountsOf(phase: PhaseName, place: BuildPlace) {
  const layers = mountVolume({ volume: place.layersVolume, path: '/layers', labels: place.labels });
  if (phase === 'analyze') return [layers];
  return [
    layers,
    mountVolume({ volume: place.workspaceVolume, path: '/workspace', labels: place.labels }),
    mountVolume({ volume: place.cacheVolume, path: '/cache', labels: place.cacheLabels }),
  ];
}
