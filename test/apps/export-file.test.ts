import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { createExportWriter, openExport } from '../../src/apps/export/export-file.ts';
import { pieceBytes, type ExportedApp } from '../../src/apps/export/format.ts';
import { defaultSettings } from '../../src/domain.ts';

const app: ExportedApp = { deployBranch: 'main', config: { A: 'ü' }, settings: defaultSettings, formation: {}, volumes: ['data'], shallow: [], release: undefined };
const signal = new AbortController().signal;
const large = Buffer.alloc(2 * pieceBytes + 5, 'abc');

async function write(passphrase = 'correct horse'): Promise<Buffer> {
  const writer = await createExportWriter({ app: 'hello', passphrase, now: new Date(0) });
  const chunks: Buffer[] = [];
  const read = (async () => {
    for await (const chunk of writer.stream) chunks.push(chunk as Buffer);
  })();
  await writer.writeApp(app);
  await writer.writeSection('repository', Readable.from([Buffer.from('bundle')]));
  await writer.writeSection('volumes/data', Readable.from([large]));
  await writer.end();
  await read;
  return Buffer.concat(chunks);
}

async function read(file: Buffer, passphrase = 'correct horse'): Promise<Record<string, number>> {
  const reader = await openExport(Readable.from([file]), { passphrase, signal });
  const sizes: Record<string, number> = {};
  for await (const { name, content } of reader.sections()) {
    sizes[name] = 0;
    for await (const piece of content) sizes[name] += piece.length;
  }
  return sizes;
}

test('an export is read as it was written', async () => {
  const file = await write();
  const reader = await openExport(Readable.from([file]), { passphrase: 'correct horse', signal });
  expect(reader.head.app).toBe('hello');
  expect(reader.app).toMatchObject({ config: { A: 'ü' }, volumes: ['data'], settings: { strategy: 'swap' } });
  reader.close();
  expect(await read(file)).toEqual({ repository: 6, 'volumes/data': large.length });
  expect(file.includes('bundle')).toBe(false);
});

test('another passphrase, a changed byte and a missing end are told', async () => {
  const file = await write();
  await expect(read(file, 'wrong horse')).rejects.toThrow(/passphrase is another one/);
  for (const at of [1600, file.length - 1700]) {
    const changed = Buffer.from(file);
    changed.writeUInt8(changed.readUInt8(at) ^ 4, at);
    await expect(read(changed)).rejects.toMatchObject({ code: 'invalid' });
  }
  for (const length of [0, pieceBytes, file.length - 2048]) await expect(read(file.subarray(0, length))).rejects.toMatchObject({ code: 'invalid' });
});

test('pieces that were left out or exchanged are told', async () => {
  const file = await write();
  const starts = [...Array(file.length / 512).keys()].map((block) => block * 512).filter((at) => file.subarray(at, at + 8).toString() === 'volumes/' && file.subarray(at + 257, at + 262).toString() === 'ustar');
  const [first = 0, second = 0, third = 0] = starts;
  await expect(read(Buffer.concat([file.subarray(0, first), file.subarray(second)]))).rejects.toMatchObject({ code: 'invalid' });
  await expect(read(Buffer.concat([file.subarray(0, second), file.subarray(third)]))).rejects.toMatchObject({ code: 'invalid' });
});
