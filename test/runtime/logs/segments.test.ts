import { appendFileSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSegments, tailLines } from '../../../src/runtime/logs/segments.ts';

const folder = (): string => mkdtempSync(join(tmpdir(), 'forge-segments-'));

describe('stored log segments', () => {
  it('keep the last lines across rotation and forget the oldest segments', async () => {
    const at = folder();
    const writer = await openSegments(at, 2);
    const line = (number: number) => Buffer.from(`${number} ${'x'.repeat(1000)}\n`);
    for (let block = 0; block < 13; block += 1) await writer.append(Array.from({ length: 1000 }, (_, index) => line(block * 1000 + index)));
    await writer.close();
    expect(readdirSync(at)).toHaveLength(2);
    const tail = await tailLines(at, 5000);
    expect(tail.map((one) => Number(one.split(' ')[0]))).toEqual(Array.from({ length: 5000 }, (_, index) => 8000 + index));
  });

  it('cut off a record that a crash tore, and go on behind the last whole one', async () => {
    const at = folder();
    const first = await openSegments(at, 2);
    await first.append([Buffer.from('one\n'), Buffer.from('two\n')]);
    await first.close();
    appendFileSync(join(at, '00000001.log'), 'thr');
    const second = await openSegments(at, 2);
    await second.append([Buffer.from('three\n')]);
    await second.close();
    expect(await tailLines(at, 10)).toEqual(['one', 'two', 'three']);
  });
});
