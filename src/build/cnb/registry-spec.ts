/** The registry's container and configuration as values. */
import type { ArchiveEntry } from '../../docker/archive.ts';
import type { ContainerCreateOptions } from '../../docker/connect.ts';
import { mountVolume } from '../../docker/volumes.ts';
import { labels } from '../../labels.ts';
import type { RegistryState } from './registry-state.ts';

/** Owner of the registry's process and files. */
export const registryOwner = { uid: 1500, gid: 1500 };
export const registryConfigPath = '/etc/forge-registry/config.yml';
const mib = 1024 * 1024;

export interface RegistryNames {
  readonly container: string;
  readonly network: string;
  readonly volume: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Names that two forges on one engine never share. */
export function registryNames(dataId: string): RegistryNames {
  const name = `forge-registry-${dataId.slice(0, 12)}`;
  return { container: name, network: name, volume: name, labels: { [labels.data]: dataId, 'forge.role': 'registry' } };
}

/** Inside and outside it has the same port, so that one reference names an image for builds and for the engine. */
export function registryContainer(options: { names: RegistryNames; image: string; port: number; specKey: string }): ContainerCreateOptions {
  const { names, image, port, specKey } = options;
  return {
    name: names.container,
    Image: image,
    Entrypoint: ['/usr/bin/docker-registry'],
    Cmd: ['serve', registryConfigPath],
    User: `${registryOwner.uid}:${registryOwner.gid}`,
    Labels: { ...names.labels, 'forge.registry': specKey },
    ExposedPorts: { [`${port}/tcp`]: {} },
    HostConfig: {
      NetworkMode: names.network,
      PortBindings: { [`${port}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(port) }] },
      Mounts: [mountVolume({ volume: names.volume, path: '/var/lib/registry', labels: names.labels })],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: 512 * mib,
      MemorySwap: 512 * mib,
      PidsLimit: 256,
      RestartPolicy: { Name: 'unless-stopped' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '5m', 'max-file': '2' } },
    },
  };
}

/** Configuration, password file and the owner of the storage. */
export function registryFiles(state: RegistryState): ArchiveEntry[] {
  const own = { ...registryOwner, mode: 0o600 };
  return [
    { path: 'etc/forge-registry/', ...registryOwner, mode: 0o700 },
    { path: 'etc/forge-registry/config.yml', content: registryConfig(state), ...own },
    { path: 'etc/forge-registry/htpasswd', content: state.htpasswd, ...own },
    { path: 'var/lib/registry/', ...registryOwner, mode: 0o700 },
  ];
}

/**
 * https://distribution.github.io/distribution/about/configuration/ : no blob descriptor cache, which would outlive a
 * garbage collection; purging of uploads really deletes.
 */
export function registryConfig({ port, httpSecret }: Pick<RegistryState, 'port' | 'httpSecret'>): string {
  return `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: /var/lib/registry
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: true
      age: 24h
      interval: 24h
      dryrun: false
http:
  addr: 0.0.0.0:${port}
  secret: ${httpSecret}
auth:
  htpasswd:
    realm: forge
    path: /etc/forge-registry/htpasswd
`;
}
