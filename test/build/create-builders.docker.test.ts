import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { execa } from 'execa';
import { pack } from 'tar-stream';
import { expect, it, onTestFinished } from 'vitest';
import { createBuilders } from '../../src/build/create-builders.ts';
import { loadConfig } from '../../src/config.ts';
import { connectDocker } from '../../src/docker/connect.ts';
import { keptImageName } from '../../src/labels.ts';
import { silentLog, temporaryDirectory } from '../store/open-test-store.ts';

/** An image of its own without a name, as an import leaves it. */
async function namelessImage(): Promise<string> {
  const archive = pack();
  archive.entry({ name: 'unique' }, randomBytes(8).toString('hex'));
  archive.finalize();
  const { stdout } = await execa('docker', ['import', '-'], { input: await buffer(archive as unknown as AsyncIterable<Buffer>) });
  onTestFinished(async () => void (await execa('docker', ['rmi', '-f', stdout], { reject: false })));
  return stdout;
}

it('the removal of a clone takes its name for the image that it shared, and that alone', async () => {
  const dataId = randomBytes(6).toString('hex');
  const config = loadConfig({ data: temporaryDirectory(), flags: {}, env: {} });
  const { forgetBuilds } = createBuilders({ docker: connectDocker(config.dockerSocket), config, dataId, log: silentLog });
  const reference = await namelessImage();
  const names = ['hello', 'clone'].map((app) => keptImageName({ dataId, app, reference }));
  for (const name of names) await execa('docker', ['tag', reference, name]);
  await forgetBuilds('clone', new Set([reference]));
  expect((await execa('docker', ['image', 'inspect', '--format', '{{join .RepoTags " "}}', reference])).stdout).toBe(names[0]);
});

it('an app’s removal leaves the image of one that had its name before and was renamed', async () => {
  const dataId = randomBytes(6).toString('hex');
  const config = loadConfig({ data: temporaryDirectory(), flags: {}, env: {} });
  const { forgetBuilds } = createBuilders({ docker: connectDocker(config.dockerSocket), config, dataId, log: silentLog });
  const reference = await namelessImage();
  await execa('docker', ['tag', reference, keptImageName({ dataId, app: 'old', reference })]);
  const isThere = async (): Promise<boolean> => (await execa('docker', ['image', 'inspect', reference], { reject: false })).exitCode === 0;
  await forgetBuilds('old', new Set([reference]));
  expect(await isThere()).toBe(true);
  await forgetBuilds('old', new Set());
  expect(await isThere()).toBe(false);
});
