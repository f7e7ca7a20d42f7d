import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBuildTrace } from '../../src/docker/buildkit-trace.ts';

/** A field of the protobuf wire format with a length before it. */
const field = (number: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([number * 8 + 2]), varint(content.length), content]);
const text = (number: number, content: string): Buffer => field(number, Buffer.from(content));
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

test('A trace gives steps and their output', () => {
  const timestamp = Buffer.from([8, 1]);
  const vertex = Buffer.concat([text(1, 'sha256:a'), text(2, 'sha256:input'), text(3, '[1/2] RUN ü'), Buffer.from([4 * 8, 1]), field(5, timestamp), text(7, 'no')]);
  const log = Buffer.concat([text(1, 'sha256:a'), field(2, timestamp), Buffer.from([3 * 8, 2]), text(4, 'x'.repeat(300))]);
  expect(decodeBuildTrace(Buffer.concat([field(1, vertex), field(3, log)]).toString('base64'))).toEqual({
    vertexes: [{ digest: 'sha256:a', name: '[1/2] RUN ü', isCached: true, isStarted: true, isCompleted: false, error: 'no' }],
    logs: [{ vertex: 'sha256:a', bytes: Buffer.from('x'.repeat(300)) }],
  });
});

test('An empty trace is empty', () => {
  expect(decodeBuildTrace('')).toEqual({ vertexes: [], logs: [] });
});

test('Any bytes are decoded or refused, never read past their end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeBuildTrace(Buffer.from(bytes).toString('base64'));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});
