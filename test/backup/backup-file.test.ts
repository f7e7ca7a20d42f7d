import { createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { PassThrough, Writable } from 'node:stream';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readBackup } from '../../src/backup/backup-reader.ts';
import { writeEntries, type BackupWriter } from '../../src/backup/backup-writer.ts';
import { ForgeError } from '../../src/errors.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

const never = new AbortController().signal;
const mib = 1024 * 1024;

async function* chunks(count: number, bytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < count; at++) yield Buffer.alloc(bytes, at);
}

const document = async (writer: BackupWriter, name: string, value: unknown): Promise<void> => {
  const text = Buffer.from(JSON.stringify(value));
  await writer.file(name, text, text.length);
};

async function write(path: string, format = 1): Promise<void> {
  const output = createWriteStream(path);
  await writeEntries(output, never, async (writer) => {
    await document(writer, 'forge-backup.json', { format, forge: '9.9.9', schema: 1, domain: 'example.com', createdAt: '2026-01-01T00:00:00Z' });
    await writer.folder('data');
    await writer.file('data/größe', Buffer.from('text'), 4);
    await writer.file('data/empty', new Uint8Array(), 0);
    await writer.pieces('images', chunks(20, mib));
    const { 'forge-backup.json': _, ...entries } = writer.entries;
    await document(writer, 'contents.json', { apps: ['shop'], images: [], volumes: [], missing: [], entries });
  });
  output.end();
  await finished(output);
}

async function read(path: string): Promise<Record<string, string | number>> {
  const seen: Record<string, string | number> = {};
  await readBackup(path, never, {
    entry: async ({ path: name, isFolder, content }) => {
      let text = '';
      let bytes = 0;
      for await (const chunk of content as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        text += chunk.length < 100 ? chunk.toString() : '';
      }
      seen[name] = isFolder ? 'folder' : bytes > 100 ? bytes : text;
    },
  });
  return seen;
}

describe('the file of a backup', () => {
  it('gives back what was written, long streams in pieces', async () => {
    const path = join(temporaryDirectory(), 'file');
    await write(path);
    expect(await read(path)).toEqual({ data: 'folder', 'data/größe': 'text', 'data/empty': '', 'images/000001': 8 * mib, 'images/000002': 8 * mib, 'images/000003': 4 * mib });
  });

  it('is refused when it is cut off anywhere', async () => {
    const path = join(temporaryDirectory(), 'file');
    await write(path);
    const whole = await readFile(path);
    for (const part of [0.01, 0.3, 0.9]) {
      await writeFile(path, whole.subarray(0, Math.floor(whole.length * part)));
      await expect(read(path)).rejects.toMatchObject({ code: 'invalid' });
    }
  });

  it('is refused when a byte of it was changed, whether the compression or the checksum finds it', async () => {
    const path = join(temporaryDirectory(), 'file');
    await write(path);
    const whole = await readFile(path);
    const flipped = Buffer.from(whole);
    flipped[Math.floor(whole.length / 2)] = (flipped[Math.floor(whole.length / 2)] as number) ^ 1;
    await writeFile(path, flipped);
    await expect(read(path)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('is cut off or damaged') });
    const tar = zstdDecompressSync(whole);
    tar[tar.indexOf('text')] = 'T'.charCodeAt(0);
    await writeFile(path, zstdCompressSync(tar));
    await expect(read(path)).rejects.toMatchObject({ message: expect.stringContaining('data/größe is not what was backed up') });
  });

  it.each(['../outside', 'data/../../outside', '/etc/passwd', 'data/./x'])('is refused with an entry %s', async (name) => {
    const path = join(temporaryDirectory(), 'file');
    const output = createWriteStream(path);
    await writeEntries(output, never, async (writer) => {
      await document(writer, 'forge-backup.json', { format: 1, forge: '1', schema: 1, domain: 'x', createdAt: 'x' });
      await writer.file(name, Buffer.from('x'), 1);
    });
    output.end();
    await finished(output);
    const visited: string[] = [];
    await expect(readBackup(path, never, { entry: async (entry) => void visited.push(entry.path) })).rejects.toMatchObject({ code: 'invalid' });
    expect(visited).toEqual([]);
  });

  it('of a newer format or of something else is named so', async () => {
    const path = join(temporaryDirectory(), 'file');
    await write(path, 2);
    await expect(read(path)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('newer forge (9.9.9, format 2') });
    await writeFile(path, zstdCompressSync(Buffer.from('hello')));
    await expect(read(path)).rejects.toMatchObject({ code: 'invalid' });
    await writeFile(path, '');
    await expect(read(path)).rejects.toMatchObject({ message: expect.stringContaining('is no backup of forge') });
  });

  it('is not waited for when its reader is gone, fails or is called off', async () => {
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(new ForgeError('failed', 'the disk is full')) });
    await expect(writeEntries(broken, never, async (writer) => await writer.pieces('images', chunks(50, mib)))).rejects.toThrow('the disk is full');
    const stuck = new PassThrough({ highWaterMark: 1 });
    const controller = new AbortController();
    const writing = writeEntries(stuck, controller.signal, async (writer) => {
      for (let at = 0; at < 1000; at++) await writer.file(`data/${at}`, crypto.getRandomValues(new Uint8Array(60_000)), 60_000);
    });
    controller.abort(new ForgeError('canceled', 'called off'));
    await expect(writing).rejects.toThrow('called off');
    const shrunk = writeEntries(new PassThrough().resume(), never, async (writer) => await writer.file('data/x', Buffer.from('abc'), 5));
    await expect(shrunk).rejects.toThrow('shorter');
  });
});
