/** What a one-off command may use: pure. */
import { defaultLimits, type Config } from '../config.ts';
import type { Limits, Release } from '../domain.ts';
import { ForgeError } from '../errors.ts';

/** The limits of the process type; without one, those of `web`, or of the first type. Throws `invalid` for a type that is not there. */
export function oneOffLimits({ app, formation, image }: Release, type: string | undefined, config: Pick<Config, 'memory' | 'cpuShares' | 'pids'>): Limits {
  if (type === undefined) return formation['web']?.limits ?? Object.values(formation)[0]?.limits ?? defaultLimits(config);
  const types = Object.keys(image.processTypes);
  if (!types.includes(type)) throw new ForgeError('invalid', `${app} has no process type ${JSON.stringify(type)}`, { hint: `its process types: ${types.join(', ')}` });
  return (Object.hasOwn(formation, type) ? formation[type]?.limits : undefined) ?? defaultLimits(config);
}
