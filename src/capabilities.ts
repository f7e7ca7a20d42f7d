/** Linux capabilities that instances may have. */
import { ForgeError } from './errors.ts';

/** Returned to images that run as root: entrypoints of nginx, redis and postgres, apt and setcap binaries need them. */
export const rootCapabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID', 'KILL', 'NET_BIND_SERVICE'] as const;
export type Capability = (typeof rootCapabilities)[number];

/** With or without `CAP_`, in any case; in the table's order. Throws `invalid` for all that forge gives nobody. */
export function parseCapabilities(names: readonly string[]): readonly Capability[] {
  const wanted = new Set(names.map((name) => name.toUpperCase().replace(/^CAP_/, '')));
  for (const name of wanted) {
    if (!rootCapabilities.includes(name as Capability)) throw new ForgeError('invalid', `no app may have the capability ${JSON.stringify(name.slice(0, 40))}`, { hint: `one or several of ${rootCapabilities.join(' ')}` });
  }
  return rootCapabilities.filter((name) => wanted.has(name));
}
