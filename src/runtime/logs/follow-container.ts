/** Copies one container's log into its segments until the container is gone or has ended for good. */
import type { Docker } from '../../docker/connect.ts';
import { containerLogs } from '../../docker/container-logs.ts';
import type { LogFrame } from '../../docker/log-frames.ts';
import { isForgeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { delay } from '../../wait.ts';
import { createCursor, type Cursor } from './cursor.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import { openSegments, tailLines, type SegmentWriter } from './segments.ts';

export interface FollowOptions {
  readonly docker: Docker;
  readonly containerId: string;
  readonly folder: string;
  readonly maxSegments: number;
  /** Ends the copying at once; what is not copied yet is copied when it is followed again. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Called after lines were stored. */
  onStored(): void;
}

/** Lines at one time are counted from the stored tail: more than this many at one nanosecond do not occur. */
const cursorTailLines = 2_000;
const lostMark = '[forge: lines lost]';
const retryMs = { first: 100, most: 5_000 };

export async function followContainer(options: FollowOptions): Promise<void> {
  const tail = (await tailLines(options.folder, cursorTailLines)).flatMap((line) => decodeRecord(line) ?? []);
  // The mark is forge's own: the engine does not repeat it, so it must not count.
  const stored = tail.filter(({ text }) => text !== lostMark);
  const cursor = createCursor(stored);
  const writer = await openSegments(options.folder, options.maxSegments);
  try {
    await copyUntilEnded(options, cursor, writer);
  } finally {
    await writer.close();
  }
}

async function copyUntilEnded(options: FollowOptions, cursor: Cursor, writer: SegmentWriter): Promise<void> {
  let waitMs = retryMs.first;
  while (!options.signal.aborted) {
    try {
      await copy(options, cursor, writer, true);
      if (await hasEnded(options)) {
        // The live stream may end before the last lines of a burst: what the engine has stored decides.
        await copy(options, cursor, writer, false);
        return;
      }
      waitMs = retryMs.first;
    } catch (error) {
      if (options.signal.aborted || (isForgeError(error) && error.code === 'not-found')) return;
      options.log.debug({ err: error, container: options.containerId }, 'the log stream broke; it is read again');
      waitMs = Math.min(waitMs * 2, retryMs.most);
    }
    await delay(waitMs, options.signal).catch(() => undefined);
  }
}

async function copy(options: FollowOptions, cursor: Cursor, writer: SegmentWriter, follow: boolean): Promise<void> {
  cursor.rewind();
  let isFirst = true;
  for await (const frames of containerLogs(options.docker, options.containerId, { follow, since: cursor.since(), signal: options.signal })) {
    const first = frames[0];
    const lost = isFirst && first && cursor.hasGapBefore(first) ? [lostFrame(first)] : [];
    isFirst = isFirst && frames.length === 0;
    const records = [...lost, ...cursor.take(frames)].map(encodeRecord);
    if (records.length === 0) continue;
    await writer.append(records);
    options.onStored();
  }
}

const lostFrame = ({ at }: LogFrame): LogFrame => ({ stream: 'stderr', at, text: Buffer.from(lostMark), isPartial: false });

/** Exited and not about to be restarted by the engine. */
async function hasEnded({ docker, containerId }: FollowOptions): Promise<boolean> {
  const { State } = await docker.getContainer(containerId).inspect().catch((error: { statusCode?: number }) => {
    if (error.statusCode === 404) return { State: { Running: false, Restarting: false } };
    throw error;
  });
  return !State.Running && !State.Restarting;
}
