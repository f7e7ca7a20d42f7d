import type { Source } from '../domain.ts';
import { ForgeError } from '../errors.ts';

/** Text of a file in the root that forge reads; `undefined` when there is none. Throws `invalid` when it is there but is no plain file of sensible size. */
export function readAppFile(source: Source, name: string): string | undefined {
  const text = source.files.get(name);
  if (text !== undefined) return text;
  if (!source.paths.has(name)) return undefined;
  throw new ForgeError('invalid', `${name} is a link or larger than 1 MiB: forge reads it only as a plain file`);
}
