/** The variables that app.json asks for: what is set stays, a default is set once, a secret is made once, the rest is missing. */
import { randomBytes } from 'node:crypto';
import type { AppFile } from '../app-file.ts';
import { ForgeError } from '../errors.ts';

export interface Environment {
  /** What the app's config lacks and gets. */
  readonly added: Readonly<Record<string, string>>;
  /** Those of them that were generated. */
  readonly made: readonly string[];
}

const secretBytes = 32;

/** Throws `invalid` naming every variable that is required and has no value, with the command that sets them. */
export function environmentOf(env: AppFile['env'], { app, config }: { readonly app: string; readonly config: Readonly<Record<string, string>> }): Environment {
  const lacking = Object.entries(env).filter(([key]) => !Object.hasOwn(config, key));
  const missing = lacking.filter(([, { value, isGenerated, isRequired }]) => value === undefined && !isGenerated && isRequired);
  if (missing.length > 0) throw missingError(app, missing);
  const added = lacking.flatMap(([key, { value, isGenerated }]): [string, string][] => {
    if (value !== undefined) return [[key, value]];
    return isGenerated ? [[key, randomBytes(secretBytes).toString('hex')]] : [];
  });
  return { added: Object.fromEntries(added), made: lacking.filter(([, { value, isGenerated }]) => value === undefined && isGenerated).map(([key]) => key) };
}

function missingError(app: string, missing: readonly [string, AppFile['env'][string]][]): ForgeError {
  const keys = missing.map(([key]) => key);
  return new ForgeError('invalid', `app.json requires config that ${app} does not have: ${keys.join(', ')}`, {
    details: missing.flatMap(([key, { description }]) => (description === undefined ? [] : [`${key}: ${description}`])),
    hint: `set it and push again: forge config:set ${app} ${keys.map((key) => `${key}=…`).join(' ')}`,
  });
}
