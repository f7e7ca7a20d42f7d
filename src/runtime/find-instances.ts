/** Instances as the engine knows them, found by their labels. */
import type { Docker } from '../docker/connect.ts';
import { listContainers } from '../docker/containers.ts';
import type { Instance } from '../domain.ts';
import { labels, oneOffTypes } from '../labels.ts';
import { withTimeout } from '../wait.ts';
import { assignedAddress } from './network.ts';

export interface FindQuery {
  readonly docker: Docker;
  readonly dataId: string;
  /** Only this app's. */
  readonly app?: string | undefined;
}

type Listed = Awaited<ReturnType<typeof listContainers>>[number];

/**
 * All instances of this forge, ended ones included, one-off containers not. One that the engine is about to start
 * again after a crash counts as running.
 */
export async function findInstances(query: FindQuery): Promise<readonly Instance[]> {
  const containers = await list(query, filterOf(query));
  return containers
    .filter(({ Labels }) => !oneOffTypes.has(Labels[labels.type] ?? '') && Labels[labels.instance])
    .map(instanceOf)
    .toSorted((a, b) => a.app.localeCompare(b.app) || a.type.localeCompare(b.type) || a.ordinal - b.ordinal || a.version - b.version);
}

/** Every container of an app, one-off ones included, by id. */
export async function findContainerIds(query: FindQuery & { readonly type?: string }): Promise<readonly string[]> {
  const type = query.type === undefined ? [] : [`${labels.type}=${query.type}`];
  return (await list(query, [...filterOf(query), ...type])).map(({ Id }) => Id);
}

const listTimeoutMs = 30_000;

const list = ({ docker }: FindQuery, filter: readonly string[]): Promise<readonly Listed[]> =>
  withTimeout(listTimeoutMs, 'the Docker Engine did not list its containers in time', (signal) => listContainers(docker, filter, signal));

const filterOf = ({ dataId, app }: FindQuery): string[] => [`${labels.data}=${dataId}`, ...(app === undefined ? [] : [`${labels.app}=${app}`])];

function instanceOf({ Id, Labels, State, NetworkSettings }: Listed): Instance {
  const name = Labels[labels.instance] ?? '';
  const isRunning = State === 'running' || State === 'restarting';
  const endpoint = Object.values(NetworkSettings.Networks)[0];
  return {
    name,
    app: Labels[labels.app] ?? '',
    version: Number(Labels[labels.release]),
    type: Labels[labels.type] ?? '',
    ordinal: Number(name.slice(name.lastIndexOf('.') + 1)),
    containerId: Id,
    address: isRunning ? (endpoint?.IPAddress || assignedAddress(endpoint) || '') : '',
    port: Number(Labels[labels.port]),
    isRunning,
    deploymentId: Labels[labels.deployment] ?? '',
  };
}
