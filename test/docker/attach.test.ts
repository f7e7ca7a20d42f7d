import { PassThrough, Readable, Writable } from 'node:stream';
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

test.each([true, false])('a reader who has stopped is not waited for past an abort (terminal: %s)', async (hasTerminal) => {
  const socket = new PassThrough();
  const canceled = new AbortController();
  const taken = Promise.withResolvers<void>();
  const stopped = new Writable({ highWaterMark: 1, write: () => taken.resolve() });
  const carried = attachmentOf(socket, { hasTerminal, signal: canceled.signal }).carry({ ...streams(), stdout: stopped });
  carried.catch(() => undefined);
  const line = Buffer.from('a line');
  socket.write(hasTerminal ? line : Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, line.length]), line]));
  await taken.promise;
  canceled.abort(new ForgeError('canceled', 'the app is being removed'));
  await expect(carried).rejects.toThrow('the app is being removed');
});
