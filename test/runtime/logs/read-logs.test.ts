import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readLogs } from '../../../src/runtime/logs/read-logs.ts';

it('shows a line that never ends in pieces, instead of collecting it for ever', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'forge-logs-'));
  await mkdir(join(folder, 'web.1@0123456789ab'));
  const part = `2026-01-01T00:00:00.000000001Z O ${'a'.repeat(16 * 1024)}\n`;
  await writeFile(join(folder, 'web.1@0123456789ab', '00000001.log'), part.repeat(100));
  const lines = [];
  const options = { lines: 100, processes: [], follow: false, signal: new AbortController().signal };
  for await (const { text } of readLogs(folder, options, async () => undefined)) lines.push(text.length);
  expect(lines).toEqual(Array.from({ length: 6 }, () => 256 * 1024));
  await rm(folder, { recursive: true });
});
