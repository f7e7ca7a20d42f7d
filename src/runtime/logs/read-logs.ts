/** Reads an app's stored lines, merged over its containers by time, and goes on live. */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compareTimes, decodeRecord, type LogRecord } from './record.ts';
import { segmentNames, tailLines } from './segments.ts';

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
  const stored = (await Promise.all(places.map((place) => lastLines(place, options.lines, positions)))).flat();
  yield* stored.sort((a, b) => compareTimes(a.at, b.at)).slice(options.lines === 0 ? stored.length : -options.lines);
  while (options.follow && !options.signal.aborted) {
    const more = changed(options.signal);
    const fresh: LogLine[] = [];
    for (const place of await placesOf(appFolder, options.processes)) {
      const position = positions.get(place.folder) ?? { segment: '', offset: 0, pending: new Map() };
      positions.set(place.folder, position);
      fresh.push(...(await readOn(place, position)));
    }
    yield* fresh.sort((a, b) => compareTimes(a.at, b.at));
    if (fresh.length === 0) await more;
    else more.catch(() => undefined);
  }
}

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

async function endOf(folder: string): Promise<Position> {
  const segment = (await segmentNames(folder)).at(-1) ?? '';
  const offset = segment === '' ? 0 : (await stat(join(folder, segment))).size;
  return { segment, offset, pending: new Map() };
}

/** The tail up to the position; what came after it is read on from there. */
async function lastLines(place: Place, count: number, positions: ReadonlyMap<string, Position>): Promise<LogLine[]> {
  if (count === 0) return [];
  const position = positions.get(place.folder);
  const records = (await tailLines(place.folder, count * 2, position)).flatMap((line) => decodeRecord(line) ?? []);
  return joinParts(records, place.process, position?.pending ?? new Map());
}

async function readOn(place: Place, position: Position): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for (const name of await segmentNames(place.folder)) {
    if (name < position.segment) continue;
    if (name > position.segment) Object.assign(position, { segment: name, offset: 0 });
    lines.push(...(await readSegment(place, position)));
  }
  return lines;
}

async function readSegment(place: Place, position: Position): Promise<LogLine[]> {
  const file = await open(join(place.folder, position.segment), 'r');
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.max(0, size - position.offset));
    await file.read(buffer, 0, buffer.length, position.offset);
    const end = buffer.lastIndexOf(0x0a) + 1;
    position.offset += end;
    const records = buffer.toString('utf8', 0, end).split('\n').flatMap((line) => decodeRecord(line) ?? []);
    return joinParts(records, place.process, position.pending);
  } finally {
    await file.close();
  }
}

/** A line without an end comes in pieces of this size, so that it never fills the memory. */
const maxLineChars = 256 * 1024;

/** Puts the parts of long lines together again; a part without its end stays in `pending`. */
function joinParts(records: readonly LogRecord[], process: string, pending: Map<string, string>): LogLine[] {
  return records.flatMap(({ at, stream, isPartial, text }) => {
    const whole = (pending.get(stream) ?? '') + text;
    const goesOn = isPartial && whole.length < maxLineChars;
    if (goesOn) pending.set(stream, whole);
    else pending.delete(stream);
    return goesOn ? [] : [{ at, process, text: whole }];
  });
}
