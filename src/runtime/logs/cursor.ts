/**
 * How far a container's log is stored. The engine repeats lines when it rotates and when it is asked again, so live and
 * resumed reading follow one rule: drop what is older than the last stored time of its stream, and at that time skip as
 * many frames as are stored. When it rotates while it is followed it may send only the end of a line again: after a
 * whole line, a frame of the same time and text is a repetition. Kept per stream: the engine orders lines within one.
 */
import type { LogFrame } from '../../docker/log-frames.ts';
import { compareTimes, type LogRecord } from './record.ts';

/** The frames stored at the last time of a stream. */
interface Mark {
  readonly at: string;
  count: number;
  hasWholeLine: boolean;
  /** The last ones. */
  readonly texts: Set<string>;
}

/** The pieces of a line all have its time: of a line without end not all are remembered. */
const maxTexts = 64;

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
  const advance = ({ stream, at, isPartial }: Pick<LogFrame, 'stream' | 'at' | 'isPartial'>, text: string): void => {
    const last = marks.get(stream);
    const order = last ? compareTimes(at, last.at) : 1;
    if (order < 0) return;
    const mark = last && order === 0 ? last : { at, count: 0, hasWholeLine: false, texts: new Set<string>() };
    mark.count += 1;
    mark.hasWholeLine ||= !isPartial;
    mark.texts.add(text);
    if (mark.texts.size > maxTexts) mark.texts.delete(mark.texts.values().next().value as string);
    marks.set(stream, mark);
  };
  for (const record of stored) advance(record, record.text);

  const isNew = (frame: LogFrame): boolean => {
    const { stream, at } = frame;
    const mark = marks.get(stream);
    const order = mark ? compareTimes(at, mark.at) : 1;
    if (order < 0) return false;
    const before = order === 0 ? (seen.get(stream) ?? 0) : 0;
    seen.set(stream, before + 1);
    const text = frame.text.toString('latin1');
    const isRepeated = order === 0 && mark !== undefined && (before < mark.count || (mark.hasWholeLine && mark.texts.has(text)));
    if (!isRepeated) advance(frame, text);
    return !isRepeated;
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
