import { PassThrough, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { attachmentOf } from '../../src/docker/attach.ts';
import { ForgeError } from '../../src/errors.ts';

const streams = () => ({ stdin: Readable.from([]), stdout: new PassThrough(), stderr: new PassThrough() });

test.each([true, false])('streams of somebody who left before they were there are closed (terminal: %s)', async (hasTerminal) => {
  const socket = new PassThrough();
  const signal = AbortSignal.abort(new ForgeError('canceled', 'the client left'));
  await expect(attachmentOf(socket, { hasTerminal, signal }).carry(streams())).rejects.toThrow('the client left');
  expect(socket.destroyed).toBe(true);
});
