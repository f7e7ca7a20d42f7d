/** How many jobs may be under way at the same time: every one is a container, and a schedule that piles them up must not take the machine from the apps. */
import type { Config } from '../config.ts';
import type { Job } from '../store/jobs.ts';

export type RoomLimits = Pick<Config, 'jobsPerApp' | 'jobsPerMachine'>;

/** Why another job of the app may not begin; `undefined`: it may. `unfinished` are those that run; `replaced` of the app's end before it begins. */
export function whyNoRoom(unfinished: readonly Job[], { app, replaced = 0 }: { readonly app: string; readonly replaced?: number }, { jobsPerApp, jobsPerMachine }: RoomLimits): string | undefined {
  const ofApp = unfinished.filter((job) => job.app === app).length - replaced;
  if (ofApp >= jobsPerApp) return `${ofApp} scheduled runs and detached commands of ${app} run, and an app may not have more (setting jobsPerApp)`;
  const all = unfinished.length - replaced;
  if (all >= jobsPerMachine) return `${all} scheduled runs and detached commands run on the machine, which may not have more (setting jobsPerMachine)`;
  return undefined;
}
