/** Reads an app's stored lines, merged over its containers by time, and goes on live. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { compareTimes, decodeRecord, textOf, type LogRecord } from './record.ts';
import { endOfRecords, openIfThere, segmentNames, tailLines } from './segments.ts';

export interface LogLine {
  /** RFC 3339 with nanoseconds. */
  readonly at: string;
  /** `web.1` */
  readonly process: string;
  readonly text: string;
}

export interface ReadLogsOptions {
  /** Stored lines to begin with. */
  readonly lines: number;
  /** `web` or `web.1`; empty = all. */
  readonly processes: readonly string[];
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

interface Place {
  readonly folder: string;
  readonly process: string;
}

interface Position {
  segment: string;
  offset: number;
  /** Parts of a line that goes on. */
  readonly pending: Map<string, string>;
}

/** `changed` resolves when more may have been stored. */
export async function* readLogs(appFolder: string, options: ReadLogsOptions, changed: (signal: AbortSignal) => Promise<void>): AsyncGenerator<LogLine> {
  // Positions first: what is stored between the two reads shows up in the first live batch, never lost.
  const positions = new Map<string, Position>();
  const places = await placesOf(appFolder, options.processes);
  for (const place of places) positions.set(place.folder, await endOf(place.folder));
  yield* await lastLines(places, options.lines, positions);
  while (options.follow && !options.signal.aborted) {
    const more = changed(options.signal);
    const pieces: LogLine[][] = [];
    for (const place of await placesOf(appFolder, options.processes)) {
      const position = positions.get(place.folder) ?? { segment: '', offset: 0, pending: new Map() };
      positions.set(place.folder, position);
      const piece = await readOn(place, position);
      if (piece) pieces.push(piece);
    }
    yield* pieces.flat().sort(byTime);
    if (pieces.length === 0) await more;
    else more.catch(() => undefined);
  }
}

const byTime = (a: LogLine, b: LogLine): number => compareTimes(a.at, b.at);

/** Name of the folder that holds one container's log: `web.1@<container id>`. */
export const containerFolder = (process: string, containerId: string): string => `${process}@${containerId.slice(0, 12)}`;

async function placesOf(appFolder: string, processes: readonly string[]): Promise<Place[]> {
  const names = await readdir(appFolder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.flatMap((name) => {
    const process = name.split('@')[0] as string;
    const isWanted = processes.length === 0 || processes.some((wanted) => process === wanted || process.startsWith(`${wanted}.`));
    return isWanted ? [{ folder: join(appFolder, name), process }] : [];
  });
}

/** Only whole records count: one that is being written is read once it is there. */
async function endOf(folder: string): Promise<Position> {
  const segment = (await segmentNames(folder)).at(-1) ?? '';
  const offset = segment === '' ? 0 : await endOfRecords(join(folder, segment));
  return { segment, offset, pending: new Map() };
}

/** The last lines of all places up to their positions, one place after the other so that no more than these are held. */
async function lastLines(places: readonly Place[], count: number, positions: ReadonlyMap<string, Position>): Promise<LogLine[]> {
  let lines: LogLine[] = [];
  if (count === 0) return lines;
  for (const { folder, process } of places) {
    const position = positions.get(folder);
    // Twice as many records: a line may have come in parts.
    const records = (await tailLines(folder, count * 2, position)).flatMap((line) => decodeRecord(line) ?? []);
    lines = [...lines, ...joinParts(records, process, position?.pending ?? new Map())].sort(byTime).slice(-count);
  }
  return lines;
}

/** The next piece behind the position, which moves on; `undefined` when nothing was stored there yet. */
async function readOn({ folder, process }: Place, position: Position): Promise<LogLine[] | undefined> {
  for (const name of await segmentNames(folder)) {
    if (name < position.segment) continue;
    if (name > position.segment) Object.assign(position, { segment: name, offset: 0 });
    const bytes = await readRecords(join(folder, name), position.offset);
    if (bytes.length === 0) continue;
    position.offset += bytes.length;
    return joinParts(bytes.toString('latin1').split('\n').flatMap((line) => decodeRecord(line) ?? []), process, position.pending);
  }
  return undefined;
}

/** Bounds what following holds in memory for a reader that is slow; many times the longest record. */
const pieceBytes = 1024 * 1024;

/** The whole records from an offset on, as far as one piece goes. */
async function readRecords(path: string, offset: number): Promise<Buffer> {
  await using file = await openIfThere(path);
  if (!file) return Buffer.alloc(0);
  const buffer = Buffer.alloc(Math.min(pieceBytes, Math.max(0, (await file.stat()).size - offset)));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
  return buffer.subarray(0, buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1);
}

/** A line without an end comes in pieces of this size, so that it never fills the memory. */
const maxLineBytes = 256 * 1024;

/** Puts the parts of long lines together again; a part without its end stays in `pending`. */
function joinParts(records: readonly LogRecord[], process: string, pending: Map<string, string>): LogLine[] {
  return records.flatMap(({ at, stream, isPartial, text }) => {
    const whole = (pending.get(stream) ?? '') + text;
    const goesOn = isPartial && whole.length < maxLineBytes;
    if (goesOn) pending.set(stream, whole);
    else pending.delete(stream);
    return goesOn ? [] : [{ at, process, text: textOf(whole) }];
  });
}
