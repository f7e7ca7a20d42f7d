import fc from 'fast-check';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { frameParts, readFrames } from '../../src/docker/stream-frames.ts';

const frame = (stream: 1 | 2, text: string): Buffer => {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
};

test('a whole answer is cut into its frames', () => {
  const frames = readFrames(Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n'), frame(1, '')]));
  expect(frames.map(({ stream, payload }) => [stream, payload.toString()])).toEqual([['stdout', 'out\n'], ['stderr', 'err\n'], ['stdout', '']]);
});

test('wherever the stream is cut into chunks, each side gets its bytes in order', async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom<1 | 2>(1, 2), fc.string({ maxLength: 40 })), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(frames, fc.integer({ min: 1, max: 30 }), async (parts, size) => {
      const bytes = Buffer.concat(parts.map(([stream, text]) => frame(stream, text)));
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
      const got = { stdout: '', stderr: '' };
      for await (const { stream, payload } of frameParts(Readable.from(chunks))) got[stream] += payload.toString('latin1');
      const wanted = (stream: 1 | 2) => parts.filter(([one]) => one === stream).map(([, text]) => Buffer.from(text).toString('latin1')).join('');
      expect(got).toEqual({ stdout: wanted(1), stderr: wanted(2) });
    }),
    { numRuns: 60 },
  );
});
