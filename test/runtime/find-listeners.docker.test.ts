import { afterAll, expect, test } from 'vitest';
import { findListeners } from '../../src/runtime/find-listeners.ts';
import { behaviourImage } from '../support/images.ts';
import { docker, imageOf, limits, releaseOf, startOf, testRuntime } from './support.ts';

const forge = testRuntime(['hello']);
afterAll(async () => await forge[Symbol.asyncDispose]());

test('the kernel tells what an instance listens on; knocking from outside finds the usual ports', async () => {
  const image = imageOf(await behaviourImage(), { processTypes: { worker: { entrypoint: undefined, command: undefined } } });
  const [instance] = await forge.runtime.startRelease(startOf(releaseOf(image, { config: { DO: 'wrong-port' }, formation: { worker: { quantity: 1, limits } } })));
  if (!instance) throw new Error('nothing started');
  const signal = AbortSignal.timeout(20_000);
  expect(await findListeners(docker, instance, signal)).toEqual([{ port: 3000, isLoopback: false }]);
  // As from inside a container, where the process number means another process: a container that is not its own.
  const stranger = { getContainer: () => ({ inspect: async () => ({ State: { Pid: process.pid } }) }) } as unknown as typeof docker;
  expect(await findListeners(stranger, instance, signal)).toEqual([{ port: 3000, isLoopback: false }]);
});
