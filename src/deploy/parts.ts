/** What the stories of deploy/ need to work; main wires it. */
import type { Builders } from '../build/build-request.ts';
import type { Config } from '../config.ts';
import type { Faults } from '../faults.ts';
import type { Log } from '../log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';
import type { Attempts } from './attempt.ts';
import type { Live } from './live.ts';
import type { Queue } from './queue.ts';
import type { Slots } from './slots.ts';

export interface DeployParts {
  readonly store: Store;
  readonly config: Config;
  readonly runtime: Runtime;
  readonly builders: Builders;
  readonly queue: Queue;
  readonly builds: Slots;
  readonly live: Live;
  readonly attempts: Attempts;
  /** Directories whose disks must have room before a build. */
  readonly diskDirectories: readonly string[];
  /** Removes what nobody needs, for a while at most; the caller has the turn of this app. Never throws but for the signal. */
  reclaimSpace(app: string, signal: AbortSignal): Promise<void>;
  readonly faults: Faults;
  readonly log: Log;
  /** Ends attempts of the app that nobody carries on; in the app's turn. */
  settle(app: string): Promise<void>;
  urlOf(app: string): string;
}
