/**
 * Named points of a deploy at which a test kills forge, to show that the machine heals whatever was under way.
 * Off unless the setting `faultAt` names one.
 */
import { ForgeError } from './errors.ts';

/** In the order in which a deploy passes them. */
export const faultPoints = [
  'deployment-recorded',
  'log-opened',
  'turn-taken',
  'source-received',
  'build-started',
  'image-built',
  'predeploy-done',
  'release-recorded',
  'release-task-done',
  'old-stopped',
  'containers-created',
  'containers-started',
  'instances-started',
  'release-current',
  'routes-swapped',
  'postdeploy-done',
  'hook-answered',
  'push-confirmed',
  'instances-promoted',
  'deployment-succeeded',
  'old-drained',
  'old-retired',
  /** Of a release that was swapped in and is swapped out again. */
  'release-taken-back',
  'routes-swapped-back',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

export interface Faults {
  /** Ends this process at once, as a power cut would, when the point is the chosen one. */
  reach(point: FaultPoint): void;
}

/** '' never ends anything. Throws `invalid` for a point that does not exist. */
export function createFaults(chosen: string): Faults {
  if (chosen !== '' && !(faultPoints as readonly string[]).includes(chosen)) {
    throw new ForgeError('invalid', `faultAt: there is no point ${JSON.stringify(chosen.slice(0, 60))}`, { hint: `one of ${faultPoints.join(', ')}` });
  }
  return {
    reach: (point) => {
      if (point === chosen) process.kill(process.pid, 'SIGKILL');
    },
  };
}
