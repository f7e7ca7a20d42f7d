/** Wires the control plane: everything that `forge serve` is, in the order in which it comes up. */
import { refuseSecondServer } from './control/socket-file.ts';
import type { Config } from './config.ts';
import type { Log } from './log.ts';
import { forgeVersion } from './version.ts';
import { adminSocketPath, wireCore, type Core } from './wire/core.ts';
import { openDoors } from './wire/doors.ts';
import { keepSchedules } from './wire/jobs.ts';
import { keepAlive, keepReconciled } from './wire/upkeep.ts';

export interface Forge {
  /** Where it can be reached; `ssh` is undefined where the machine's OpenSSH is the door. */
  readonly addresses: { readonly ssh: number | undefined; readonly http: number };
  readonly adminSocket: string;
  readonly version: string;
  /** Stops taking work, ends what is under way, leaves apps and proxy running. */
  close(): Promise<void>;
}

/** Comes up beside a proxy that runs or is about to. Throws `conflict` for a data directory or port in use. */
export async function startForge(config: Config, log: Log): Promise<Forge> {
  await using stack = new AsyncDisposableStack();
  // Before anything is touched that a forge on this data directory may be using.
  await refuseSecondServer(adminSocketPath(config));
  const core = await wireCore(config, log, stack);
  // One that cannot be ended now (the disk is full) is ended when its app's turn comes: apps serve in any case.
  await core.recover().catch((error: unknown) => log.error({ err: error }, 'what an earlier run left under way could not be ended yet'));
  const doors = await openDoors(core, stack);
  keepReconciled(core, stack);
  keepAlive(core, stack);
  keepSchedules(core, stack);
  const http = await portOfProxy(core);
  core.publicPort.http = http;
  const running = stack.move();
  return {
    addresses: { ssh: doors.ssh, http },
    adminSocket: doors.adminSocket,
    version: forgeVersion,
    close: async () => {
      core.stop();
      await running.disposeAsync();
    },
  };
}

/** A proxy that does not answer must not keep people from pushing and from asking what is wrong; it gets the routes when it is back. */
async function portOfProxy({ proxy, config, log }: Core): Promise<number> {
  try {
    return (await proxy.addresses()).http;
  } catch (error) {
    // Only the proxy knows which port it picked.
    if (config.http === 0) throw error;
    log.warn({ err: error }, 'the proxy does not answer: apps cannot be reached until it runs');
    return config.http;
  }
}

