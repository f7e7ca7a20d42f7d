import { expect, test } from 'vitest';
import { checkFreeSpace } from '../../src/build/free-space.ts';

test('A disk with less free than the limit is refused with figures, before anything is built', async () => {
  await expect(checkFreeSpace({ directories: ['/tmp'], minFreeBytes: 2 ** 60 })).rejects.toMatchObject({
    code: 'exhausted',
    message: expect.stringMatching(/^the disk of \/tmp is nearly full: [\d.]+ GiB of [\d.]+ GiB free, 1073741824 GiB needed; nothing was built$/) as string,
  });
});

test('A disk with room passes, and a directory that is not there is left out', async () => {
  await checkFreeSpace({ directories: ['/tmp', '/does/not/exist'], minFreeBytes: 1 });
});
