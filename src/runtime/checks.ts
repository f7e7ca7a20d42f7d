/**
 * Which checks a process type has. What gates a start and what is asked for later are chosen apart from each other: what a
 * person set, else what the app's own files say, else the default. Pure.
 */
import type { Check, CheckKind, Probe } from '../app-file.ts';
import type { Release } from '../domain.ts';

/** The process type that gets requests; the others need no port. */
export const servingType = 'web';

/** How long an instance without a port must stay up, ms. */
export const steadyMs = 3_000;

/** How long the app may take to answer one probe, unless its check says otherwise, ms. */
export const defaultAnswerMs = 5_000;

/** What Dokku takes where a check of app.json says nothing. */
export const defaultAttempts = 3;
export const defaultWaitMs = 5_000;

export interface EffectiveCheck {
  readonly check: Check;
  readonly origin: 'set' | 'app.json' | 'default';
}

/** Milliseconds. */
export interface CheckDefaults {
  readonly readinessTimeout: number;
  readonly steadyMs?: number;
}

/** Whether a new instance must pass it before it serves. */
export const isGate = ({ kind }: { readonly kind: CheckKind }): boolean => kind !== 'liveness';

/** Passed at once, for types whose start nobody waits for. */
export const isSkip = ({ probe }: Check): boolean => probe.kind === 'uptime' && probe.uptimeMs === 0;

/** The checks of a type, those that gate a start first. Whether its checks are off is another matter. */
export function effectiveChecks(release: Pick<Release, 'settings' | 'appFile'>, type: string, defaults: CheckDefaults): readonly EffectiveCheck[] {
  const own = (checks: Release['settings']['checks']) => (Object.hasOwn(checks, type) ? (checks[type] ?? []) : []);
  const chosen = (isWanted: (check: Check) => boolean): readonly EffectiveCheck[] => {
    const set = own(release.settings.checks).filter(isWanted);
    if (set.length > 0) return set.map((check) => ({ check, origin: 'set' }));
    return own(release.appFile.checks).filter(isWanted).map((check) => ({ check, origin: 'app.json' }));
  };
  const gates = chosen(isGate);
  const liveness = chosen((check) => !isGate(check));
  if (gates.length > 0) return [...gates, ...liveness];
  const check = type === servingType ? listens(defaults.readinessTimeout) : staysUp(defaults.steadyMs ?? steadyMs);
  return [{ check, origin: 'default' }, ...liveness];
}

export const checksOf = (...parts: Parameters<typeof effectiveChecks>): readonly Check[] => effectiveChecks(...parts).map(({ check }) => check);

/** A connection to the port within the time. */
const listens = (withinMs: number): Check => plainCheck({ kind: 'tcp' }, withinMs);

const staysUp = (uptimeMs: number): Check => plainCheck({ kind: 'uptime', uptimeMs }, uptimeMs);

/** One that must be passed within the time. */
export const plainCheck = (probe: Probe, withinMs: number): Check => ({
  kind: 'startup',
  name: undefined,
  probe,
  port: undefined,
  initialDelayMs: 0,
  timeoutMs: defaultAnswerMs,
  attempts: 1,
  waitMs: withinMs,
});
