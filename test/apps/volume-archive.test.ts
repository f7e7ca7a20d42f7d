import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { extract as tarExtract, pack as tarPack, type Header } from 'tar-stream';
import { expect, test } from 'vitest';
import { checkVolumeArchive } from '../../src/apps/volume-archive.ts';

type Entry = Partial<Header> & Pick<Header, 'name'>;
const folder = (name: string): Entry => ({ name, type: 'directory' });
const symlink = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname });
const link = (name: string, linkname: string): Entry => ({ name, type: 'link', linkname });

function tarOf(...entries: readonly Entry[]): Readable {
  const pack = tarPack();
  for (const entry of entries) pack.entry(entry, (entry.type ?? 'file') === 'file' ? 'kept' : '');
  pack.finalize();
  return Readable.from(pack);
}

/** What would be unpacked. */
async function restored(archive: Readable, maxBytes = Infinity): Promise<string[]> {
  const checked = checkVolumeArchive(archive, { maxBytes, signal: new AbortController().signal });
  const extract = tarExtract();
  const names: string[] = [];
  const read = async (): Promise<void> => {
    for await (const entry of checked.archive.pipe(extract)) {
      names.push(entry.header.name);
      entry.resume();
    }
  };
  checked.archive.on('error', (error) => extract.destroy(error));
  const [, done] = await Promise.allSettled([read(), checked.done]);
  if (done.status === 'rejected') throw done.reason;
  return names;
}

test.each<[string, readonly Entry[], string]>([
  ['a file below a symlink', [symlink('current', 'releases/1'), { name: 'current/a' }], '"current/a" lies below "current", which is a symlink in the backup'],
  ['a folder below a symlink', [folder('x/'), symlink('x/etc', '/etc'), folder('x/etc/deep/er')], '"x/etc/deep/er" lies below "x/etc"'],
  ['a file below a hard link to a symlink', [symlink('a', '/etc'), link('b', 'a'), { name: 'b/c' }], '"b/c" lies below "b"'],
  ['a hard link to what is behind a symlink', [symlink('a', '/etc'), link('b', 'a/passwd')], '"b" lies below "a"'],
  ['a folder in place of a symlink', [symlink('a', 'b'), folder('a/')], '"a" is in the backup as a folder and as something else'],
  ['a symlink in place of a folder', [{ name: 'a/b' }, symlink('a', 'c')], '"a" is in the backup as a folder and as something else'],
  ['a file in place of a folder', [folder('a'), { name: 'a' }], '"a" is in the backup as a folder and as something else'],
])('%s is refused: it or others would be lost', async (_what, entries, message) => {
  await expect(restored(tarOf(...entries))).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(`the backup was refused: ${message}`) });
});

test('symlinks, whatever they lead to, and what is beside them are kept', async () => {
  const entries = [folder('./'), folder('./a/'), { name: './a/b' }, symlink('./current', 'a'), symlink('./out', '../../etc'), link('./a/c', './a/b'), folder('./current-2'), { name: './current-2/x' }, folder('./a/')];
  expect(await restored(tarOf(...entries))).toEqual(['volume/', 'volume/a/', 'volume/a/b', 'volume/current', 'volume/out', 'volume/a/c', 'volume/current-2/', 'volume/current-2/x', 'volume/a/']);
});

test('a backup whose files are larger than they may be is refused', async () => {
  expect(await restored(tarOf({ name: 'a' }, { name: 'b' }), 8)).toHaveLength(2);
  await expect(restored(tarOf({ name: 'a' }, { name: 'b' }, { name: 'c' }), 8)).rejects.toThrow('its files are larger than 8 bytes together');
});

test('a backup that is compressed out of all proportion is refused', { timeout: 60_000 }, async () => {
  const pieces = 80;
  const pieceBytes = 16 * 1024 * 1024;
  const pack = tarPack();
  pack.entry({ name: 'zeros', size: pieces * pieceBytes }).on('error', () => undefined);
  const { value: header } = await Readable.from(pack)[Symbol.asyncIterator]().next() as { readonly value: Buffer };
  const zeros = gzipSync(Buffer.alloc(pieceBytes));
  await expect(restored(Readable.from([gzipSync(header), ...Array.from({ length: pieces }, () => zeros), gzipSync(Buffer.alloc(1024))]))).rejects.toMatchObject({
    code: 'invalid', message: 'the backup was refused: it unpacks to more than 200 times its size', hint: expect.stringContaining('gunzip'),
  });
});
