/** What the checks of a process type are once a person has changed them. Pure. */
import type { Check, CheckKind, Probe } from '../app-file.ts';
import { ForgeError } from '../errors.ts';
import { defaultAnswerMs, defaultAttempts, defaultWaitMs, isGate, plainCheck } from '../runtime/checks.ts';

/** What a person asks for; `undefined` leaves it as it is. Milliseconds. */
export interface WantedCheck {
  readonly kind: CheckKind;
  /** Tells several checks of one kind apart. */
  readonly name: string | undefined;
  readonly path: string | undefined;
  readonly content: string | undefined;
  readonly status: number | undefined;
  readonly isTcp: boolean;
  readonly argv: readonly string[] | undefined;
  readonly uptimeMs: number | undefined;
  readonly port: number | undefined;
  readonly attempts: number | undefined;
  readonly waitMs: number | undefined;
  /** For everything until it is ready; instead of attempts and wait. */
  readonly withinMs: number | undefined;
  readonly answerMs: number | undefined;
  readonly initialDelayMs: number | undefined;
}

export interface CheckChange {
  /** What a person had set for the type. */
  readonly set: readonly Check[];
  /** What is in force for it, whoever said so. */
  readonly effective: readonly Check[];
  readonly wanted: WantedCheck;
  readonly readinessTimeoutMs: number;
}

/** Everything that is set for the type afterwards. Throws `invalid` for what contradicts itself, or names no check. */
export function changedChecks({ set, effective, wanted, readinessTimeoutMs }: CheckChange): readonly Check[] {
  const isSame = (check: Check): boolean => check.kind === wanted.kind && check.name === wanted.name;
  const previous = set.find(isSame) ?? effective.find(isSame);
  const probe = wantedProbe(wanted, previous?.probe);
  if (probe) {
    if (wanted.kind === 'liveness' && probe.kind === 'uptime') throw invalid('uptime says nothing about liveness', 'give --path, --tcp or --command');
    const base = set.find(isSame) ?? freshCheck(wanted, probe, readinessTimeoutMs);
    return [...set.filter((check) => !isSame(check)), retimed({ ...base, probe, port: wanted.port ?? base.port }, wanted)];
  }
  const targets = effective.filter((check) => check.kind === wanted.kind && (wanted.name === undefined || check.name === wanted.name) && check.probe.kind !== 'uptime');
  if (targets.length === 0) throw invalid(`there is no ${wanted.kind} check${wanted.name === undefined ? '' : ` ${JSON.stringify(wanted.name)}`} to change`, 'say what it asks: --path, --tcp, --command or --uptime');
  return [...set.filter((check) => !targets.includes(check)), ...targets.map((check) => retimed({ ...check, port: wanted.port ?? check.port }, wanted))];
}

function wantedProbe({ path, content, status, isTcp, argv, uptimeMs }: WantedCheck, previous: Probe | undefined): Probe | undefined {
  const http = path !== undefined || content !== undefined || status !== undefined;
  const chosen = [http && '--path', isTcp && '--tcp', argv && '--command', uptimeMs !== undefined && '--uptime'].filter(Boolean);
  if (chosen.length > 1) throw invalid(`${chosen.join(' and ')} exclude each other`, 'one check asks one thing; --name makes another check');
  if (isTcp) return { kind: 'tcp' };
  if (argv) return { kind: 'command', argv };
  if (uptimeMs !== undefined) return { kind: 'uptime', uptimeMs };
  if (!http) return undefined;
  // Another path is another question; a status or content alone belongs to the path there is.
  if (path === undefined && previous?.kind === 'http') return { ...previous, ...(content === undefined ? {} : { content }), ...(status === undefined ? {} : { status }) };
  return { kind: 'http', path: path ?? '/', content, status, headers: undefined };
}

const freshCheck = ({ kind, name }: WantedCheck, probe: Probe, readinessTimeoutMs: number): Check => ({
  ...plainCheck(probe, readinessTimeoutMs),
  ...(isGate({ kind }) ? {} : { attempts: defaultAttempts, waitMs: defaultWaitMs }),
  kind,
  name,
});

function retimed(check: Check, wanted: WantedCheck): Check {
  const { attempts, waitMs, withinMs } = wanted;
  const common = { ...check, timeoutMs: wanted.answerMs ?? check.timeoutMs ?? defaultAnswerMs, initialDelayMs: wanted.initialDelayMs ?? check.initialDelayMs };
  if (withinMs !== undefined) {
    if (attempts !== undefined || waitMs !== undefined) throw invalid('--timeout is attempts × wait: give either it or these', 'forge checks:set --help');
    if (!isGate(check)) throw invalid('--timeout is how long a start may take, and a liveness check has no end', 'give --attempts and --wait, or --answer-timeout for one answer');
    return { ...common, attempts: 1, waitMs: withinMs };
  }
  if (attempts === undefined && waitMs === undefined) return common;
  // One attempt that may take all the time is no number to multiply.
  const isPlain = check.attempts === 1;
  return { ...common, attempts: attempts ?? (isPlain ? defaultAttempts : check.attempts), waitMs: waitMs ?? (isPlain ? defaultWaitMs : check.waitMs) };
}

const invalid = (message: string, hint: string): ForgeError => new ForgeError('invalid', message, { hint });
