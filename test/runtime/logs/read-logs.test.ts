import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readLogs } from '../../../src/runtime/logs/read-logs.ts';

let folder: string;
let segment: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forge-logs-'));
  await mkdir(join(folder, 'web.1@0123456789ab'));
  segment = join(folder, 'web.1@0123456789ab', '00000001.log');
});
afterEach(async () => await rm(folder, { recursive: true }));

const record = (text: string, letter = 'o'): string => `2026-01-01T00:00:00.000000001Z ${letter} ${text}\n`;
const stored = { processes: [], follow: false, signal: new AbortController().signal };

it('shows a line that never ends in pieces, instead of collecting it for ever', async () => {
  await writeFile(segment, record('a'.repeat(16 * 1024), 'O').repeat(100));
  const lines = [];
  for await (const { text } of readLogs(folder, { ...stored, lines: 100 }, async () => undefined)) lines.push(text.length);
  expect(lines).toEqual(Array.from({ length: 6 }, () => 256 * 1024));
});

it('joins a character that the engine cut in two with its line', async () => {
  const bytes = Buffer.from('naïve €');
  const cut = bytes.length - 2;
  await writeFile(segment, Buffer.concat([Buffer.from(record('', 'O').trimEnd()), Buffer.from(' '), bytes.subarray(0, cut), Buffer.from('\n')]));
  await appendFile(segment, Buffer.concat([Buffer.from(record('').trimEnd()), Buffer.from(' '), bytes.subarray(cut), Buffer.from('\n')]));
  const lines = await Array.fromAsync(readLogs(folder, { ...stored, lines: 10 }, async () => undefined));
  expect(lines.map(({ text }) => text)).toEqual(['naïve €']);
});

it('reads hundreds of thousands of short lines', async () => {
  await writeFile(segment, record('x').repeat(250_000));
  expect(await Array.fromAsync(readLogs(folder, { ...stored, lines: 100_000 }, async () => undefined))).toHaveLength(100_000);
});

it('goes on behind the last whole record, in pieces, past a record that was being written and into new segments', async () => {
  await writeFile(segment, record('one') + record('two').slice(0, -3));
  const changes = [
    async () => await appendFile(segment, record('two').slice(-3)),
    async () => await writeFile(segment.replace('1.log', '2.log'), record('x'.repeat(10_000)).repeat(200)),
  ];
  const ended = new AbortController();
  const changed = async () => await (changes.shift() ?? (async () => ended.abort()))();
  const lines = await Array.fromAsync(readLogs(folder, { ...stored, lines: 10, follow: true, signal: ended.signal }, changed));
  expect(lines.slice(0, 2).map(({ text }) => text)).toEqual(['one', 'two']);
  expect(lines).toHaveLength(202);
});
