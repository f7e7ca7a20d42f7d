import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { buildFailure, lifecycleFailure } from '../../../src/build/cnb/phase-failures.ts';
import { type BuildOutput, participants, refusals, reportBuild } from '../../../src/build/cnb/phase-output.ts';
import { linesOf } from '../../../src/lines-of.ts';
import { createReport } from '../../../src/report.ts';

async function* chunks(...parts: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part as string);
}

async function report(...parts: string[]): Promise<{ shown: string; output: BuildOutput }> {
  const sink = new PassThrough();
  const shown = text(sink);
  const output = await reportBuild(chunks(...parts), createReport([sink]));
  sink.end();
  return { shown: await shown, output };
}

describe('the output of a build', () => {
  it('shows the buildpacks that take part, then everything they write, and nothing of the lifecycle’s own', async () => {
    const { shown, output } = await report('\x1edetect\n2 of 3 buildpacks participating\nforge/nodejs   0.1.0\nforge/procfile 0.1.0\n\x1ere', 'store\nRestoring metadata\n\x1ebuild\nInstalling\n  added 3', ' packages\n');
    expect(shown).toBe('       Buildpacks: forge/nodejs 0.1.0, forge/procfile 0.1.0\n       Installing\n         added 3 packages\n');
    expect(output.stage).toBe('build');
  });

  it('is not led astray by a build that writes marks', async () => {
    const { shown, output } = await report('\x1edetect\n\x1ebuild\n\x1erestore\n\x1ebuild\n\x1edetect\n\x1erestore\nhello\n');
    expect(output.stage).toBe('build');
    expect(shown).toContain('       detect\n       restore\n       hello\n');
  });

  it('keeps characters whole across chunks and cuts a line that never ends', async () => {
    const accent = Buffer.from('é');
    const lines = await Array.fromAsync(linesOf(chunks('a', accent.subarray(0, 1), accent.subarray(1), '\r\n', 'x'.repeat(20_000))));
    expect(lines[0]).toBe('aé');
    expect(lines.slice(1).every((line) => line.length <= 8192)).toBe(true);
    expect(lines.slice(1).join('')).toBe('x'.repeat(20_000));
  });
});

const refused = ['======== Output: forge/nodejs@0.1.0 ========', 'no: no package.json', '======== Output: forge/go@0.1.0 ========', 'no go.mod', '======== Results ========', 'fail: forge/nodejs@0.1.0', 'fail: forge/go@0.1.0', 'fail: forge/quiet@1.0.0', 'Resolving plan... (try #1)', 'fail: no viable buildpacks in group', '======== Output: forge/nodejs@0.1.0 ========', 'no: no package.json', 'ERROR: No buildpack groups passed detection.'];

describe('what buildpacks looked for', () => {
  it('is listed once for each, with what it said', () => {
    expect(refusals(refused)).toEqual(['forge/nodejs: no package.json', 'forge/go: no go.mod', 'forge/quiet']);
  });

  it('is not mixed up with who takes part', () => {
    expect(participants(['x 1.0', '1 of 2 buildpacks participating', 'acme/shout 2.3.4', 'done'])).toEqual(['acme/shout 2.3.4']);
  });
});

describe('a phase that fails', () => {
  const builder = { reference: 'b', buildpacks: [{ id: 'a/b', version: '1' }] };
  const failure = (status: number, stage: BuildOutput['stage'], changes: { isOutOfMemory?: boolean; hidden?: string[] } = {}) =>
    buildFailure({ status, output: { stage, hidden: changes.hidden ?? [], isOutOfMemory: changes.isOutOfMemory ?? false }, memoryBytes: 512 * 1024 * 1024, builder });

  it('is told apart: memory, the app’s own build, nothing that matches, the machine', () => {
    expect(failure(51, 'build', { isOutOfMemory: true })).toMatchObject({ code: 'exhausted', message: 'the build needed more than its memory limit of 512M' });
    expect(failure(51, 'build')).toMatchObject({ code: 'failed', message: 'the build failed (exit status 51); its output is above' });
    expect(failure(20, 'detect', { hidden: refused })).toMatchObject({ message: 'no buildpack takes this app', details: ['Looked for, by the builder b:', '  forge/nodejs: no package.json', '  forge/go: no go.mod', '  forge/quiet'] });
    expect(failure(20, 'detect')).toMatchObject({ details: ['Looked for, by the builder b:', '  a/b'] });
    expect(failure(42, 'restore', { hidden: ['ERROR: cache'] })).toMatchObject({ message: 'the build failed in the phase restore (exit status 42)', details: ['ERROR: cache'] });
    expect(lifecycleFailure('export', 62, ['ERROR: denied'])).toMatchObject({ message: 'the image could not be exported (export, exit status 62)', details: ['ERROR: denied'] });
  });
});
