/** The whole route table, pure, from the apps and the instances that serve them. */
import type { Instance, Route, RouteTable } from '../domain.ts';

export interface Serving {
  readonly app: string;
  /** Instances of the live release; only `web` ones get requests. */
  readonly instances: readonly Instance[];
}

export interface RouteTableInput {
  readonly version: number;
  readonly domain: string;
  readonly controlSocket: string;
  readonly serving: readonly Serving[];
}

export const hostOf = (app: string, domain: string): string => `${app}.${domain}`;

/** Name of one instance in the table: the same place of another release is another target. */
export const targetId = (instance: Instance): string => `${instance.app}/${instance.name}@v${instance.version}/${instance.containerId.slice(0, 12)}`;

export function routeTable(input: RouteTableInput): RouteTable {
  return {
    version: input.version,
    controlHost: hostOf('forge', input.domain),
    controlSocket: input.controlSocket,
    routes: input.serving.map((serving) => routeOf(serving, input.domain)).sort((a, b) => a.host.localeCompare(b.host)),
  };
}

function routeOf({ app, instances }: Serving, domain: string): Route {
  const web = instances.filter((instance) => instance.type === 'web' && instance.isRunning && instance.address !== '');
  return {
    host: hostOf(app, domain),
    app,
    targets: web.map((instance) => ({ id: targetId(instance), address: instance.address, port: instance.port })),
  };
}
