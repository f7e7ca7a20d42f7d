import { once } from 'node:events';
import { expect, test } from 'vitest';
import { checkFreeSpace, watchFreeSpace } from '../../src/build/free-space.ts';

test('A disk with less free than the limit is refused with figures, before anything is built', async () => {
  await expect(checkFreeSpace({ directories: ['/tmp'], minFreeBytes: 2 ** 60 })).rejects.toMatchObject({
    code: 'exhausted',
    message: expect.stringMatching(/^the disk of \/tmp is nearly full: [\d.]+ GiB of [\d.]+ GiB free, 1073741824 GiB needed; nothing was built$/) as string,
  });
});

test('A disk with room passes, and a directory that is not there is left out', async () => {
  await checkFreeSpace({ directories: ['/tmp', '/does/not/exist'], minFreeBytes: 1 });
});

test('A build that fills the disk is ended, with figures', async () => {
  using space = watchFreeSpace({ directories: ['/tmp'], minFreeBytes: 2 ** 60, signal: new AbortController().signal });
  await once(space.signal, 'abort');
  expect(space.signal.reason).toMatchObject({ code: 'exhausted', message: expect.stringMatching(/free, 1073741824 GiB needed; the build was ended$/) as string });
});
