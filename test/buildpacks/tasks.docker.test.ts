/** Tasks of a deploy in images of buildpacks: by the launcher, with what the build put into the environment. */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { taskCommand } from '../../src/build/process-command.ts';
import type { Image } from '../../src/domain.ts';
import { createReport } from '../../src/report.ts';
import { docker, releaseOf, testRuntime, type TestRuntime } from '../runtime/support.ts';
import { fixture, useBuilder } from './app-build.ts';

const builder = useBuilder();
let forge: TestRuntime;
beforeAll(() => {
  forge = testRuntime(['hello']);
});
afterAll(async () => await forge?.[Symbol.asyncDispose]());

async function run(image: Image, line: string, keepAs?: string) {
  const output = new PassThrough();
  const ended = forge.runtime.runTask({
    release: releaseOf(image, { config: { SECRET: 'hunter2-hunter2' } }),
    task: keepAs === undefined ? 'release' : 'predeploy',
    commandFor: (entrypoint) => taskCommand(line, image, entrypoint),
    deploymentId: 'd1',
    timeoutMs: 60_000,
    ...(keepAs === undefined ? {} : { keepAs }),
    report: createReport([output]),
    signal: AbortSignal.timeout(60_000),
  });
  const [kept, shown] = await Promise.all([ended.finally(() => output.end()), text(output)]);
  return { kept, shown };
}

it('What predeploy leaves is in an image that the launcher still starts, and release is no process type', async () => {
  const image = await builder().build('tasks', await fixture(builder(), 'procfile-only', { Procfile: 'web: python3 -m http.server $PORT\nrelease: echo never mind\n' }));
  expect(Object.keys(image.processTypes)).toEqual(['web']);
  const { kept = '', shown } = await run(image, 'echo "made by $CNB_APP_DIR $SECRET" > made && echo packed', 'forge/hello:d1-cnb');
  try {
    expect(shown).toBe('       packed\n');
    const after = await run({ ...image, reference: kept, digest: kept }, 'cat made');
    expect(after.shown).toMatch(/^ {7}made by .*hunter2-hunter2\n$/);
    const [before, now] = await Promise.all([docker.getImage(image.reference).inspect(), docker.getImage(kept).inspect()]);
    expect({ ...now.Config, Labels: {} }).toEqual({ ...before.Config, Labels: {} });
    expect(now.Config.Labels).toMatchObject({ ...before.Config.Labels, 'forge.app': 'hello' });
    expect(JSON.stringify(now)).not.toContain('hunter2');
  } finally {
    await docker.getImage(kept).remove({ force: true });
  }
});
