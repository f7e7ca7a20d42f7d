import { expect, test } from 'vitest';
import fc from 'fast-check';
import { createFrameTracker } from '../../src/proxy/websocket-frames.ts';

function frame(length: number, isMasked: boolean): Buffer {
  const extended = length > 65_535 ? 8 : length > 125 ? 2 : 0;
  const header = Buffer.alloc(2 + extended + (isMasked ? 4 : 0));
  header[0] = 0x82;
  header[1] = (isMasked ? 0x80 : 0) | (extended === 8 ? 127 : extended === 2 ? 126 : length);
  if (extended === 2) header.writeUInt16BE(length, 2);
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, Buffer.alloc(length, 0x88)]);
}

test('the tracker is between frames exactly after whole frames, however the stream is cut', () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(0, 1, 125, 126, 65_535, 65_536), fc.boolean()), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(frames, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 }), (shapes, cuts) => {
      const parts = shapes.map(([length, isMasked]) => frame(length, isMasked));
      const ends = new Set<number>([0]);
      let end = 0;
      for (const part of parts) ends.add((end += part.length));
      const stream = Buffer.concat(parts);
      const places = [...cuts.map((cut) => Math.floor(cut * stream.length)), stream.length].toSorted((a, b) => a - b);
      const tracker = createFrameTracker();
      let from = 0;
      for (const place of places) {
        tracker.track(stream.subarray(from, place));
        from = place;
        expect(tracker.isBetweenFrames).toBe(ends.has(place));
      }
    }),
    { numRuns: 60 },
  );
});
