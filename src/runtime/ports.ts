/** Which port an app listens on: pure. */
import type { AppSettings, Image } from '../domain.ts';
import { ForgeError } from '../errors.ts';

/** What an app listens on when neither its settings nor its image say; Heroku and Dokku users know it. */
const defaultPort = 5000;

/**
 * The app's setting, else the image's only EXPOSEd TCP port, else 5000.
 * Throws `invalid` when the image exposes several ports and none is chosen.
 */
export function portOf(settings: Pick<AppSettings, 'port'>, image: Pick<Image, 'exposedPorts'>): number {
  if (settings.port !== undefined) return settings.port;
  const [only, ...others] = image.exposedPorts;
  if (only === undefined) return defaultPort;
  if (others.length === 0) return only;
  throw new ForgeError('invalid', `the image exposes several ports (${image.exposedPorts.join(', ')}): forge cannot tell which one serves the web`, {
    hint: `choose one and push again: forge ports:set <app> ${only}`,
  });
}
