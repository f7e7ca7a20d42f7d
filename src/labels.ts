/** Labels on everything that forge makes in the engine: what it belongs to, and which forge made it. */

export const labels = {
  app: 'forge.app',
  /** Version number of the release, without `v`. */
  release: 'forge.release',
  /** Process type; `run` for one-off commands. */
  type: 'forge.type',
  /** `web.1` */
  instance: 'forge.instance',
  deployment: 'forge.deployment',
  /** The port that the instance was told to listen on. */
  port: 'forge.port',
  /** Id of the data directory: two forges on one engine never touch each other's things. */
  data: 'forge.data',
  /** Id of a job: a one-off container that nobody waits for, and that outlives forge. */
  job: 'forge.job',
  /** Start of forge that made it, on what goes with whoever asked for it: another start's is nobody's any more. */
  start: 'forge.start',
  /** What it is for, where it is of no one app. */
  role: 'forge.role',
  /** App that is being built in it. */
  build: 'forge.build',
} as const;

/**
 * For containers of images that a user made: a container has its image's labels too, unless it has its own of that name.
 * An empty label counts as none.
 */
export const blankLabels: Readonly<Record<string, string>> = Object.fromEntries(Object.values(labels).map((name) => [name, '']));

/** How the interfaces of forge's bridges begin: the firewall's rules match it. */
export const bridgePrefix = 'fg';

/** Process type of one-off containers; no formation may use it. */
export const oneOffType = 'run';

/** Repository of an app's images that forge gives names of its own, to keep them or to carry them to another machine. */
export const keptRepository = ({ dataId, app }: { readonly dataId: string; readonly app: string }): string => `forge-${dataId}/${app}`;

/** `reference` is an image id or `name@digest`. */
export const keptImageName = ({ dataId, app, reference }: { readonly dataId: string; readonly app: string; readonly reference: string }): string =>
  `${keptRepository({ dataId, app })}:kept-${reference.slice(reference.indexOf('sha256:') + 7).slice(0, 16)}`;

/** What a deploy runs once, in a container of its own; they are process types in logs, and no formation may use them. */
export const taskTypes = ['predeploy', 'release', 'postdeploy'] as const;
export type TaskType = (typeof taskTypes)[number];

/** Types that are no part of a formation: whoever starts them removes them. */
export const oneOffTypes: ReadonlySet<string> = new Set([oneOffType, ...taskTypes]);

/** On the volume that builds of an app keep for the next one; its value is the app. */
export const buildCacheLabel = 'forge.build-cache';

/** On volumes that a restore made; its value names the mark that stood in the engine until they were whole. */
export const restoreLabel = 'forge.restore';
