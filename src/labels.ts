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
} as const;

/** How the interfaces of forge's bridges begin: the firewall's rules match it. */
export const bridgePrefix = 'fg';

/** Process type of one-off containers; no formation may use it. */
export const oneOffType = 'run';
