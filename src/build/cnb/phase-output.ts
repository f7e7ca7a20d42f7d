/** From the lifecycle's output to what people read: a buildpack's lines as they are, the lifecycle's own only where they help. */
import { linesOf } from '../../lines-of.ts';
import type { Report } from '../../report.ts';
import { outOfMemoryMark, phaseMark } from './phase-spec.ts';

const linesKept = 60;

export type Stage = 'start' | 'detect' | 'restore' | 'build';

export interface BuildOutput {
  /** How far it came. */
  readonly stage: Stage;
  /** What detection and restoring wrote, the last lines: shown only when they fail. */
  readonly hidden: readonly string[];
  /** The kernel killed something of the build at the memory limit, and the build failed. */
  readonly isOutOfMemory: boolean;
}

/**
 * Passes the build container's output on while it happens: which buildpacks take part, then everything the buildpacks
 * write. A mark counts only forwards, so output that looks like one changes nothing.
 */
export async function reportBuild(chunks: AsyncIterable<Buffer>, report: Report): Promise<BuildOutput> {
  const stages: readonly Stage[] = ['start', 'detect', 'restore', 'build'];
  let stage: Stage = 'start';
  const hidden: string[] = [];
  let isOutOfMemory = false;
  for await (const line of linesOf(chunks)) {
    const next: Stage | undefined = stages[stages.indexOf(stage) + 1];
    if (next !== undefined && line === phaseMark + next) {
      if (next === 'restore') report.body(`Buildpacks: ${participants(hidden).join(', ')}`);
      stage = next;
      continue;
    }
    if (stage === 'build' && line === phaseMark + outOfMemoryMark) isOutOfMemory = true;
    else if (stage === 'build') {
      report.body(line);
      await report.flushed();
    } else keep(hidden, line);
  }
  return { stage, hidden, isOutOfMemory };
}

/** The last lines of a phase that people see only when it fails. */
export async function collectQuietly(chunks: AsyncIterable<Buffer>, onLine: (line: string) => void = () => undefined): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(chunks)) {
    keep(lines, line);
    onLine(line);
  }
  return lines;
}

/** `forge/nodejs 0.1.0` of detection's "2 of 3 buildpacks participating" list. */
export function participants(lines: readonly string[]): string[] {
  const start = lines.findLastIndex((line) => /^\d+ of \d+ buildpacks participating/.test(line));
  if (start === -1) return lines.flatMap((line) => nameAndVersion(line));
  return lines.slice(start + 1).flatMap((line) => nameAndVersion(line));
}

/** What each buildpack said about why it does not take the app, as detection repeats it when all refuse. */
export function refusals(lines: readonly string[]): string[] {
  const found = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const line of lines) {
    const name = /^=+ (?:Output|Error): (\S+?)(?:@\S*)? =+$/.exec(line)?.[1];
    if (name !== undefined) {
      current = found.get(name) ?? [];
      found.set(name, current);
    } else if (/^=+ |^(fail|pass|skip|err): |^Resolving plan|^(ERROR|Timer): /.test(line)) current = undefined;
    else current?.push(line.trim().replace(/^no: /, ''));
  }
  const refused = new Set(lines.flatMap((line) => /^fail: ([^\s@]+)/.exec(line)?.[1] ?? []).filter((name) => name !== 'no'));
  for (const name of refused) if (!found.has(name)) found.set(name, []);
  return [...found].map(([name, why]) => [name, [...new Set(why)].filter(Boolean).join(' ')].filter(Boolean).join(': '));
}

const nameAndVersion = (line: string): string[] => {
  const match = /^([\w./-]+)\s+(\d[\w.+-]*)$/.exec(line);
  return match ? [`${match[1]} ${match[2]}`] : [];
};

function keep(lines: string[], line: string): void {
  lines.push(line);
  if (lines.length > linesKept * 4) lines.splice(0, lines.length - linesKept * 4);
}
