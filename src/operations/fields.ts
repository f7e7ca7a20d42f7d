/** Fields that several operations take. */
import { z } from 'zod';
import { parseAppName } from '../names.ts';
import { says } from './input-form.ts';

/** An app that is there. */
export const appField = z.string().overwrite(parseAppName).meta(says('The app', { short: 'a', placeholder: 'APP' }));

export const newAppField = z.string().overwrite(parseAppName).meta(says('Name of the new app', { short: 'a', placeholder: 'APP' }));

export const limitField = (what: string, standard: number) =>
  z.int().min(1).max(100_000).default(standard).meta(says(`How many ${what} to show at most; default ${standard}`, { short: 'n', placeholder: 'N' }));

/** Most changes show only in new instances. */
export const restartField = z.boolean().default(true).meta(says('Keep the running instances; the change waits for the next start'));
