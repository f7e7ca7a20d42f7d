/** Checks in words: what they ask, and how long they wait for it. */
import type { Check } from '../app-file.ts';
import { isGate, isSkip } from './checks.ts';

/** "GET /healthz on port 5000"; `port` is the release's, for checks without one of their own. */
export function questionOf({ probe, port: own }: Pick<Check, 'probe' | 'port'>, releasePort: number | undefined): string {
  const port = own ?? releasePort;
  const at = port === undefined ? '' : ` on port ${port}`;
  switch (probe.kind) {
    case 'http': {
      const expected = [probe.status === undefined ? [] : `status ${probe.status}`, probe.content === undefined ? [] : `${JSON.stringify(probe.content)} in its body`].flat();
      return `GET ${probe.path}${at}${expected.length === 0 ? '' : ` with ${expected.join(' and ')}`}`;
    }
    case 'tcp':
      return port === undefined ? 'a TCP connection' : `a TCP connection to port ${port}`;
    case 'command':
      return `the command ${probe.argv.join(' ')}`;
    case 'uptime':
      return probe.uptimeMs === 0 ? 'nothing' : `${probe.uptimeMs / 1000} s of running`;
  }
}

/** The question, with the check's name where it has one. */
export const nameOf = (check: Check, releasePort: number | undefined): string =>
  check.name === undefined ? questionOf(check, releasePort) : `check ${JSON.stringify(check.name)}: ${questionOf(check, releasePort)}`;

/** "within 60 s", "every 5 s, 3 misses" */
export function patienceOf(check: Check): string {
  const { probe, attempts, waitMs, timeoutMs, initialDelayMs } = check;
  if (probe.kind === 'uptime') return isSkip(check) ? 'no waiting' : '';
  const after = initialDelayMs === 0 ? '' : `, first after ${initialDelayMs / 1000} s`;
  const answer = `an answer within ${timeoutMs / 1000} s`;
  return isGate(check) ? `within ${(attempts * waitMs) / 1000} s, ${answer}${after}` : `every ${waitMs / 1000} s, ${answer}, replaced after ${attempts} failures${after}`;
}
