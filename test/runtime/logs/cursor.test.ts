import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogFrame } from '../../../src/docker/log-frames.ts';
import { createCursor } from '../../../src/runtime/logs/cursor.ts';
import type { LogRecord } from '../../../src/runtime/logs/record.ts';

const frame = (second: number, text: string, stream: 'stdout' | 'stderr' = 'stdout'): LogFrame => ({
  stream,
  at: `2026-11-21T07:30:${String(second).padStart(2, '0')}.5Z`,
  text: Buffer.from(text),
  isPartial: false,
});
const record = (one: LogFrame): LogRecord => ({ ...one, text: one.text.toString() });

describe('the cursor of a stored log', () => {
  it('drops what is older and skips at the last time as many as are stored', () => {
    const all = [frame(1, 'a'), frame(2, 'b'), frame(2, 'c'), frame(2, 'd'), frame(3, 'e')];
    const cursor = createCursor(all.slice(0, 3).map(record));
    cursor.rewind();
    expect(cursor.take(all).map(({ text }) => text.toString())).toEqual(['d', 'e']);
  });

  it('drops the end of a long line that the engine sends again when it rotates', () => {
    const cursor = createCursor([]);
    const start = { ...frame(1, 'long '), isPartial: true };
    expect(cursor.take([start, frame(1, 'line')])).toHaveLength(2);
    expect(cursor.take([frame(1, 'line'), frame(2, 'next')]).map(({ text }) => text.toString())).toEqual(['next']);
  });

  it('drops it after a line of any number of parts, which it does not keep', () => {
    const cursor = createCursor([]);
    const parts = Array.from({ length: 1000 }, (_, index) => ({ ...frame(1, `part ${index}`), isPartial: true }));
    expect(cursor.take([...parts, frame(1, 'end')])).toHaveLength(1001);
    expect(cursor.take([{ ...frame(1, 'part 999'), isPartial: true }, frame(1, 'end')])).toEqual([]);
  });

  it('keeps a line of one stream that is older than the last line of the other', () => {
    const cursor = createCursor([record(frame(5, 'out'))]);
    expect(cursor.take([frame(4, 'err', 'stderr')])).toHaveLength(1);
  });

  it('sees a gap when a reading begins after the last stored line', () => {
    const cursor = createCursor([record(frame(5, 'a'))]);
    expect(cursor.hasGapBefore(frame(5, 'a'))).toBe(false);
    expect(cursor.hasGapBefore(frame(6, 'b'))).toBe(true);
    expect(createCursor([]).hasGapBefore(frame(6, 'b'))).toBe(false);
  });

  it('stores every line once, wherever a reading is cut off and begun again', () => {
    const log = fc.array(fc.record({ step: fc.integer({ min: 0, max: 1 }), stream: fc.constantFrom('stdout' as const, 'stderr' as const) }), { maxLength: 30 }).map((steps) => {
      let second = 0;
      return steps.map(({ step, stream }, index) => frame((second += step), `line ${index}`, stream));
    });
    fc.assert(
      fc.property(log, fc.array(fc.nat(30), { maxLength: 5 }), (frames, cuts) => {
        const stored: LogFrame[] = [];
        for (const cut of [...cuts, frames.length]) {
          const cursor = createCursor(stored.map(record));
          const since = cursor.since();
          const reading = frames.filter(({ at }) => since === undefined || at >= since).slice(0, cut === frames.length ? undefined : cut);
          cursor.rewind();
          stored.push(...cursor.take(reading));
        }
        expect(stored.map(({ text }) => text.toString()).sort()).toEqual(frames.map(({ text }) => text.toString()).sort());
      }),
    );
  });
});
