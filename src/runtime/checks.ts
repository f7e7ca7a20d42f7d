/** Which checks a process type has: what a person set, else what the app's own files say, else the default. Pure. */
import type { Config } from '../config.ts';
import type { Check } from '../app-file.ts';
import type { Release } from '../domain.ts';

/** The process type that gets requests; the others need no port. */
export const servingType = 'web';

export function checksOf(release: Pick<Release, 'settings' | 'appFile'>, type: string, config: Pick<Config, 'readinessTimeout'>): readonly Check[] {
  const own = (checks: Release['settings']['checks']) => (Object.hasOwn(checks, type) ? checks[type] : undefined);
  const chosen = own(release.settings.checks) ?? own(release.appFile.checks) ?? [];
  if (type !== servingType || chosen.some(({ kind }) => kind !== 'liveness')) return chosen;
  return [listens(config.readinessTimeout), ...chosen];
}

/** A connection to the port within the time. */
const listens = (withinMs: number): Check => ({
  kind: 'startup',
  name: undefined,
  probe: { kind: 'tcp' },
  port: undefined,
  initialDelayMs: 0,
  timeoutMs: 5_000,
  attempts: 1,
  waitMs: withinMs,
});
