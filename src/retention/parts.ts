/** What collecting needs to work; wiring gives it. */
import type { Config } from '../config.ts';
import type { Queue } from '../deploy/queue.ts';
import type { Docker } from '../docker/connect.ts';
import type { ImageLayer } from '../docker/image-layers.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/store.ts';

export interface RetentionParts {
  readonly store: Store;
  readonly docker: Docker;
  readonly dataId: string;
  readonly config: Pick<Config, 'data' | 'keepReleases' | 'keepImageBytes' | 'keepDeployments' | 'keepAudit' | 'keepLogBytes' | 'buildCacheBytes' | 'minFreeBytes' | 'cacheDir'>;
  readonly queue: Pick<Queue, 'takeIfFree'>;
  readonly logs: { trim(app: string, maxBytes: number): Promise<number> };
  /** Removes what builds left, and what the image registry holds for apps that are not there. Waits only shortly for builds. */
  tidyBuilds(signal: AbortSignal, isApp: (name: string) => boolean): Promise<void>;
  /** Directories of all disks that forge writes to, the engine's among them. */
  readonly diskDirectories: readonly string[];
  readonly log: Log;
}

/** Layers of an image by its id; they never change, so they are read once. */
export type LayersOf = (id: string, signal: AbortSignal) => Promise<readonly ImageLayer[]>;
