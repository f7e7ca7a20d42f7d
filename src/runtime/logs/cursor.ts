/**
 * How far a container's log is stored. The engine repeats lines when it rotates and when it is asked again, so live and
 * resumed reading follow one rule: drop what is older than the last stored time of its stream, and at that time skip as
 * many frames as are stored. Kept per stream because the engine orders lines within a stream only.
 */
import type { LogFrame } from '../../docker/log-frames.ts';
import { compareTimes, type LogRecord } from './record.ts';

interface Mark {
  readonly at: string;
  readonly count: number;
}

export interface Cursor {
  /** The frames that are not stored yet, in order; they count as stored from now on. */
  take(frames: readonly LogFrame[]): LogFrame[];
  /** Call before each new reading: the frames at the marks come again and are skipped again. */
  rewind(): void;
  /** Where a new reading begins, inclusive; `undefined` = at the beginning. */
  since(): string | undefined;
  /** Whether a reading that begins with this frame has a gap before it. */
  hasGapBefore(frame: LogFrame): boolean;
}

/** A cursor after the stored records, the newest last; only their tail matters. */
export function createCursor(stored: readonly LogRecord[]): Cursor {
  const marks = new Map<string, Mark>();
  const seen = new Map<string, number>();
  const advance = (stream: string, at: string): void => {
    const mark = marks.get(stream);
    if (mark && compareTimes(at, mark.at) < 0) return;
    marks.set(stream, mark && compareTimes(at, mark.at) === 0 ? { at, count: mark.count + 1 } : { at, count: 1 });
  };
  for (const { stream, at } of stored) advance(stream, at);

  const isNew = ({ stream, at }: LogFrame): boolean => {
    const mark = marks.get(stream);
    const order = mark ? compareTimes(at, mark.at) : 1;
    if (order < 0) return false;
    const before = order === 0 ? (seen.get(stream) ?? 0) : 0;
    seen.set(stream, before + 1);
    if (order === 0 && before < (mark?.count ?? 0)) return false;
    advance(stream, at);
    return true;
  };

  return {
    take: (frames) => frames.filter(isNew),
    rewind: () => seen.clear(),
    since: () => [...marks.values()].map(({ at }) => at).sort(compareTimes)[0],
    hasGapBefore: ({ at }) => {
      const oldest = [...marks.values()].map((mark) => mark.at).sort(compareTimes)[0];
      return oldest !== undefined && compareTimes(at, oldest) > 0;
    },
  };
}
