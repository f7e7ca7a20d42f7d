/** The serving side of the proxy as its main sees it. */
import type { RouteTable } from '../domain.ts';
import type { DrainRequest } from './targets.ts';

/** What serves, in this process or in several. */
export interface Plane {
  readonly port: number;
  apply(table: RouteTable): Promise<void>;
  drain(request: DrainRequest, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
