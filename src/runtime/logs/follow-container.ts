/** Copies one container's log into its segments until the container is gone or has ended for good. */
import type { Docker } from '../../docker/connect.ts';
import { containerLogs } from '../../docker/container-logs.ts';
import { inspectContainer } from '../../docker/containers.ts';
import type { LogFrame } from '../../docker/log-frames.ts';
import { isForgeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { delay, untilAborted } from '../../wait.ts';
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
const retryMs = { first: 100, mostWhenQuiet: 1_000, most: 5_000 };

export async function followContainer(options: FollowOptions): Promise<void> {
  const { containerId, signal, log } = options;
  let waitMs = retryMs.first;
  while (!signal.aborted) {
    try {
      return await copyUntilEnded(options);
    } catch (error) {
      if (signal.aborted || isGone(error)) return;
      const isEngineAway = isForgeError(error) && error.code === 'unavailable';
      log[isEngineAway ? 'debug' : 'warn']({ err: error, container: containerId }, 'copying a container’s log broke off; it goes on from what is stored');
    }
    await delay(waitMs, signal).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, retryMs.most);
  }
}

/** What is stored decides where it begins: after a failure the cursor may be ahead of the disk. */
async function copyUntilEnded(options: FollowOptions): Promise<void> {
  const { folder, maxSegments, signal } = options;
  const writer = await openSegments(folder, maxSegments);
  try {
    const tail = (await tailLines(folder, cursorTailLines)).flatMap((line) => decodeRecord(line) ?? []);
    // The mark is forge's own: the engine does not repeat it, so it must not count.
    const cursor = createCursor(tail.filter(({ text }) => text !== lostMark));
    let waitMs = retryMs.first;
    for (;;) {
      const copied = await copy(options, { cursor, writer, follow: true });
      if (await hasEnded(options)) break;
      // The log of a container that the engine is about to restart ends at once, again and again.
      waitMs = copied > 0 ? retryMs.first : Math.min(waitMs * 2, retryMs.mostWhenQuiet);
      await delay(waitMs, signal);
    }
    // The live stream may end before the last lines of a burst: what the engine has stored decides.
    await copy(options, { cursor, writer, follow: false });
  } finally {
    await writer.close();
  }
}

/** Returns how many records were stored. */
async function copy({ docker, containerId, signal, onStored }: FollowOptions, { cursor, writer, follow }: { cursor: Cursor; writer: SegmentWriter; follow: boolean }): Promise<number> {
  cursor.rewind();
  let isFirst = true;
  let copied = 0;
  for await (const frames of containerLogs(docker, containerId, { follow, since: cursor.since(), signal })) {
    const first = frames[0];
    const lost = isFirst && first && cursor.hasGapBefore(first) ? [lostFrame(first)] : [];
    isFirst = false;
    const records = [...lost, ...cursor.take(frames)].map(encodeRecord);
    if (records.length === 0) continue;
    await writer.append(records);
    copied += records.length;
    onStored();
  }
  return copied;
}

const lostFrame = ({ at }: LogFrame): LogFrame => ({ stream: 'stderr', at, text: Buffer.from(lostMark), isPartial: false });

/** Exited and not about to be restarted by the engine. */
async function hasEnded({ docker, containerId, signal }: FollowOptions): Promise<boolean> {
  const { State } = await untilAborted(inspectContainer(docker, containerId), signal);
  return !State.Running && !State.Restarting;
}

const isGone = (error: unknown): boolean => isForgeError(error) && error.code === 'not-found';
