/** What went wrong in a phase, as people can act on it. Exit statuses: platform/exit.go of the lifecycle. */
import { formatSize } from '../../config.ts';
import { ForgeError } from '../../errors.ts';
import type { BuilderFacts } from './builder-facts.ts';
import { type BuildOutput, refusals } from './phase-output.ts';

const detectRefused = new Set([20, 21]);
const killed = 137;
const linesShown = 20;

/** Why the container that ran detect, restore and build ended. */
export function buildFailure(options: {
  readonly status: number;
  readonly output: BuildOutput;
  readonly memoryBytes: number;
  readonly builder: Pick<BuilderFacts, 'reference' | 'buildpacks'>;
}): ForgeError {
  const { status, output, memoryBytes, builder } = options;
  if (output.isOutOfMemory || (status === killed && output.stage === 'build')) {
    return new ForgeError('exhausted', `the build needed more than its memory limit of ${formatSize(memoryBytes)}`, { hint: 'raise buildMemory, or let the build use less' });
  }
  if (output.stage === 'build') return new ForgeError('failed', `the build failed (exit status ${status}); its output is above`);
  if (detectRefused.has(status)) return nothingMatched(output, builder);
  return new ForgeError('failed', `the build failed in the phase ${output.stage} (exit status ${status})`, { details: output.hidden.slice(-linesShown) });
}

/** Analyze and export run nothing of the app: their failure is the machine's. */
export function lifecycleFailure(phase: 'analyze' | 'export', status: number, lines: readonly string[]): ForgeError {
  return new ForgeError('failed', `the image could not be ${phase === 'export' ? 'exported' : 'prepared'} (${phase}, exit status ${status})`, { details: lines.slice(-linesShown) });
}

function nothingMatched({ hidden }: BuildOutput, builder: Pick<BuilderFacts, 'reference' | 'buildpacks'>): ForgeError {
  const said = refusals(hidden);
  const looked = said.length > 0 ? said : builder.buildpacks.map(({ id }) => id);
  return new ForgeError('failed', 'no buildpack takes this app', {
    details: [`Looked for, by the builder ${builder.reference}:`, ...looked.map((line) => `  ${line}`)],
    hint: 'add the file that names the app’s dependencies (such as package.json, requirements.txt or go.mod) or a Dockerfile to the root of the repository',
  });
}
