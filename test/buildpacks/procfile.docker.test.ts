import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { fixture, readApp, useBuilder, visit } from './app-build.ts';

const builder = useBuilder();

describe('an app that is only a Procfile and its files', () => {
  it('has the process types of the file, run by a shell where the line needs one', async () => {
    const image = await builder().build('proc', await fixture(builder(), 'procfile-only'));
    expect(Object.keys(image.processTypes).sort()).toEqual(['web', 'worker']);
    const run = (...args: string[]) => execa('docker', ['run', '--rm', '-e', 'GREETING=two  words', '--entrypoint', '/cnb/process/worker', image.reference, ...args]);
    expect((await run()).stdout).toBe('two  words from the worker');
    expect((await run('and more')).stdout).toBe('two  words from the worker and more');
  });
});

describe('a Procfile beside a language', () => {
  it('starts what it says, and SIGTERM reaches it', async () => {
    const image = await builder().build('worker', await builder().source(await readApp('examples/worker')));
    expect(Object.keys(image.processTypes)).toEqual(['worker']);
    await visit(image, async (app) => {
      await expect.poll(() => app.logs(), { timeout: 20_000 }).toContain('job 1 done');
      expect((await app.stop()).status).toBe(0);
      expect(await app.logs()).toMatch(/stopping after \d+ jobs/);
    }, 'worker');
  });
});
