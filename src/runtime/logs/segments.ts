/** The stored log of one container: numbered segment files in a folder of its own, the newest being appended to. */
import { mkdirSync } from 'node:fs';
import { open, readdir, stat, truncate, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

const segmentBytes = 4 * 1024 * 1024;
const tailChunkBytes = 64 * 1024;
const newline = 0x0a;

export interface SegmentWriter {
  append(records: readonly Buffer[]): Promise<void>;
  close(): Promise<void>;
}

/** Opens the newest segment for appending; a record torn by a crash is cut off first. */
export async function openSegments(folder: string, maxSegments: number): Promise<SegmentWriter> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let names = await segmentNames(folder);
  if (names.length > 0) await cutTornRecord(join(folder, names.at(-1) as string));
  let current = names.at(-1) ?? segmentName(1);
  let file = await open(join(folder, current), 'a', 0o600);
  let size = (await file.stat()).size;

  const rotate = async (): Promise<void> => {
    await file.close();
    current = segmentName(Number.parseInt(current, 10) + 1);
    file = await open(join(folder, current), 'a', 0o600);
    size = 0;
    names = await segmentNames(folder);
    for (const name of names.slice(0, Math.max(0, names.length - maxSegments))) await unlink(join(folder, name));
  };

  return {
    append: async (records) => {
      const bytes = Buffer.concat(records);
      if (size > 0 && size + bytes.length > segmentBytes) await rotate();
      await writeAll(file, bytes);
      size += bytes.length;
    },
    close: async () => await file.close(),
  };
}

/** Oldest first. */
export async function segmentNames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => /^\d{8}\.log$/.test(name)).sort();
}

/** Where a log is read up to: everything before this place of this segment. */
export interface LogEnd {
  readonly segment: string;
  readonly offset: number;
}

/**
 * The last complete lines of the whole log (or before `end`), one character per byte, oldest first. Reads backwards,
 * only as much as is needed; a segment that is removed meanwhile counts as empty.
 */
export async function tailLines(folder: string, count: number, end?: LogEnd): Promise<string[]> {
  const tails: string[][] = [];
  let missing = count;
  for (const name of (await segmentNames(folder)).reverse()) {
    if (missing <= 0) break;
    if (end && name > end.segment) continue;
    const limit = end?.segment === name ? end.offset : Infinity;
    const tail = await tailOfFile(join(folder, name), missing, limit);
    tails.unshift(tail);
    missing -= tail.length;
  }
  return tails.flat();
}

/** Where the last complete record of a segment ends; 0 for one that is gone. */
export async function endOfRecords(path: string): Promise<number> {
  await using file = await openIfThere(path);
  if (!file) return 0;
  const { buffer, start } = await readBackTo(file, (await file.stat()).size, (tail) => tail.includes(newline));
  return start + buffer.lastIndexOf(newline) + 1;
}

/** A segment to read, unless it was removed since its folder was listed. */
export async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const segmentName = (number: number): string => `${String(number).padStart(8, '0')}.log`;

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += (await file.write(bytes, written)).bytesWritten;
}

async function cutTornRecord(path: string): Promise<void> {
  const end = await endOfRecords(path);
  if (end < (await stat(path)).size) await truncate(path, end);
}

async function tailOfFile(path: string, count: number, limit: number): Promise<string[]> {
  await using file = await openIfThere(path);
  if (!file) return [];
  const size = Math.min((await file.stat()).size, limit);
  const { buffer, start } = await readBackTo(file, size, (tail) => hasMoreLines(tail, count));
  const lines = buffer.toString('latin1', 0, buffer.lastIndexOf(newline) + 1).split('\n').slice(0, -1);
  return (start > 0 ? lines.slice(1) : lines).slice(-count);
}

function hasMoreLines(bytes: Buffer, count: number): boolean {
  let lines = 0;
  for (let at = bytes.indexOf(newline); at !== -1 && lines <= count; at = bytes.indexOf(newline, at + 1)) lines += 1;
  return lines > count;
}

async function readBackTo(file: FileHandle, size: number, isEnough: (tail: Buffer) => boolean): Promise<{ buffer: Buffer; start: number }> {
  let want = tailChunkBytes;
  for (;;) {
    const start = Math.max(0, size - want);
    const buffer = Buffer.alloc(size - start);
    await file.read(buffer, 0, buffer.length, start);
    if (start === 0 || isEnough(buffer)) return { buffer, start };
    want *= 4;
  }
}
