import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { extract, pack, type Header } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAppFile } from '../../src/build/read-app-file.ts';
import { receiveSource } from '../../src/build/source.ts';
import type { Source } from '../../src/domain.ts';

type Entry = Partial<Header> & Pick<Header, 'name'> & { readonly content?: string };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forge-source-'));
});
afterAll(() => rm(folder, { recursive: true }));

const limits = { maxBytes: 1_000_000, maxEntries: 1000 };
let count = 0;

function tarOf(...entries: readonly Entry[]): Readable {
  const packer = pack();
  for (const { content, ...header } of entries) packer.entry(header, content ?? '');
  packer.finalize();
  return Readable.from(packer);
}

async function receive(stream: Readable, options: { limits?: typeof limits; signal?: AbortSignal } = {}): Promise<Source> {
  return await receiveSource(stream, { path: join(folder, `${count++}.tar`), limits, signal: new AbortController().signal, ...options });
}

async function entriesOf(path: string): Promise<Header[]> {
  const reader = extract();
  createReadStream(path).pipe(reader as unknown as NodeJS.WritableStream);
  const headers: Header[] = [];
  for await (const entry of reader) {
    headers.push(entry.header);
    entry.resume();
  }
  return headers;
}

describe('a source', () => {
  test('has the files that forge reads up to the size that its messages name, to the byte', async () => {
    const largest = `${'x'.repeat(1024 * 1024 - 1)}\n`;
    const read = async (content: string) => {
      const source = await receive(tarOf({ name: 'app.json', content }), { limits: { ...limits, maxBytes: 3_000_000 } });
      expect((await entriesOf(source.tarPath)).find(({ name }) => name === 'app.json')?.size).toBe(content.length);
      return readAppFile(source, 'app.json');
    };
    expect(await read(largest.slice(-936_000))).toHaveLength(936_000);
    expect(await read(largest)).toBe(largest);
    await expect(read(`${largest}x`)).rejects.toThrow('app.json is a link or larger than 1 MiB');
  });

  test('is stored as a plain tar that begins with ./ and keeps names, modes and links', async () => {
    const source = await receive(
      tarOf(
        { name: './Procfile', content: 'web: node a.js\n', mode: 0o644 },
        { name: 'bin/start', content: 'x', mode: 0o4755, uid: 1000 },
        { name: 'docs/', type: 'directory' },
        { name: 'link', type: 'symlink', linkname: 'bin/start' },
        { name: 'hard', type: 'link', linkname: 'bin/start' },
      ),
    );
    expect(source.files.get('Procfile')).toBe('web: node a.js\n');
    expect([...source.paths].sort()).toEqual(['Procfile', 'bin/', 'bin/start', 'docs/', 'hard', 'link']);
    expect(source.sizeBytes).toBe(16);
    const headers = await entriesOf(source.tarPath);
    expect(headers.map(({ name }) => name)).toEqual(['./', 'Procfile', 'bin/start', 'docs/', 'link', 'hard']);
    expect(headers[2]).toMatchObject({ mode: 0o755, uid: 0, gid: 0 });
    expect(headers[4]).toMatchObject({ type: 'symlink', linkname: 'bin/start' });
    expect((await stat(source.tarPath)).mode & 0o777).toBe(0o600);
  });

  test('may be compressed, with names in any script and longer than a tar header holds', async () => {
    const long = `${'ordner/'.repeat(60)}datei.txt`;
    const source = await receive(tarOf({ name: 'größe/日本.txt', content: 'a' }, { name: long, content: 'b' }).pipe(createGzip()));
    expect(source.paths.has('größe/日本.txt')).toBe(true);
    expect(source.paths.has(long)).toBe(true);
    expect((await entriesOf(source.tarPath)).map(({ name }) => name)).toContain(long);
  });

  test('may hold empty files', async () => {
    const source = await receive(tarOf({ name: 'Procfile' }, { name: 'a/__init__.py' }, { name: 'b', content: 'x' }));
    expect([...source.paths]).toEqual(['Procfile', 'a/', 'a/__init__.py', 'b']);
    expect(source.files.get('Procfile')).toBe('');
  });

  test('leaves out the data of git', async () => {
    const source = await receive(tarOf({ name: '.git/config', content: 'x' }, { name: 'a/.git', content: 'x' }, { name: '.gitignore', content: 'x' }));
    expect([...source.paths]).toEqual(['.gitignore']);
  });

  test.each<[string, Entry[], RegExp]>([
    ['an absolute path', [{ name: '/etc/passwd', content: 'x' }], /"\/etc\/passwd" is an absolute path/],
    ['a path with ..', [{ name: 'a/../../b', content: 'x' }], /leaves the source by \.\./],
    ['an absolute symlink', [{ name: 'l', type: 'symlink', linkname: '/etc/passwd' }], /"l" → "\/etc\/passwd" leads out/],
    ['a symlink above the root', [{ name: 'a/l', type: 'symlink', linkname: '../../x' }], /"a\/l" → "..\/..\/x" leads out/],
    [
      'a chain of symlinks above the root',
      [{ name: 'a/b', type: 'symlink', linkname: '../' }, { name: 'a/c', type: 'symlink', linkname: 'b/../x' }],
      /leads out/,
    ],
    ['a hard link to what is not in it', [{ name: 'h', type: 'link', linkname: 'etc/passwd' }], /hard link "h"/],
    ['a hard link above the root', [{ name: 'h', type: 'link', linkname: '../x' }], /leaves the source/],
    ['a file below a symlink', [{ name: 'd', type: 'symlink', linkname: 'e' }, { name: 'd/x', content: 'x' }], /"d\/x" lies below "d"/],
    ['a file twice', [{ name: 'a', content: 'x' }, { name: './a', content: 'y' }], /"a" is in it twice/],
    ['a device', [{ name: 'dev', type: 'character-device' }], /"dev" is a character-device/],
    ['a fifo', [{ name: 'pipe', type: 'fifo' }], /"pipe" is a fifo/],
    ['a long name', [{ name: 'x'.repeat(300), content: 'x' }], /longer than 255 bytes/],
    ['a Git LFS pointer', [{ name: 'big.bin', content: 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' }], /"big.bin" is a Git LFS pointer/],
    [
      'an empty submodule',
      [{ name: '.gitmodules', content: '[submodule "lib"]\n\tpath = vendor/lib\n\turl = x\n' }, { name: 'vendor/lib/', type: 'directory' }],
      /git submodules, whose files are not part of a push: vendor\/lib/,
    ],
  ])('is refused with %s, and nothing stays on the disk', async (_what, entries, message) => {
    const before = await readdir(folder);
    await expect(receive(tarOf(...entries))).rejects.toMatchObject({ code: 'invalid', message: expect.stringMatching(message) as string });
    expect(await readdir(folder)).toEqual(before);
  });

  test('is refused past its limits, which the message names', async () => {
    const files = Array.from({ length: 20 }, (_, index) => ({ name: `f${index}`, content: 'x'.repeat(100) }));
    await expect(receive(tarOf(...files), { limits: { maxBytes: 1000, maxEntries: 100 } })).rejects.toThrow('larger than 1000 bytes together');
    await expect(receive(tarOf(...files), { limits: { maxBytes: 10_000, maxEntries: 10 } })).rejects.toThrow('more than 10 files');
  });

  test('that unpacks to many times its size is refused', async () => {
    const bomb = tarOf({ name: 'zeros', size: 40_000_000, content: '\0'.repeat(40_000_000) }).pipe(createGzip({ level: 9 }));
    await expect(receive(bomb, { limits: { maxBytes: 1e9, maxEntries: 10 } })).rejects.toThrow('more than 200 times its size');
  });

  test('that breaks off is refused, wherever it does', async () => {
    const whole = await Readable.from(tarOf({ name: 'a', content: 'x'.repeat(2000) }, { name: 'b', content: 'y' })).toArray();
    const bytes = Buffer.concat(whole as Buffer[]);
    for (const length of [100, 512, 1000, 2560, 3000, 3584, bytes.length - 1024]) {
      await expect(receive(Readable.from([bytes.subarray(0, length)])), String(length)).rejects.toMatchObject({ code: 'invalid' });
    }
    await expect(receive(Readable.from([gzipSync(bytes).subarray(0, 60)]))).rejects.toMatchObject({ code: 'invalid' });
    await expect(receive(Readable.from([Buffer.from('not a tar at all')]))).rejects.toMatchObject({ code: 'invalid' });
  });

  test.each([true, false])('whose sender leaves ends with the abort, and nothing stays on the disk (begun: %s)', async (isBegun) => {
    const before = await readdir(folder);
    const controller = new AbortController();
    const never = new PassThrough();
    const begun = pack();
    begun.entry({ name: 'whole', size: 100 }, 'x'.repeat(100));
    const part = begun.entry({ name: 'part', size: 900_000 });
    part.write(Buffer.alloc(500_000));
    // The receiver destroys what it reads from; the sender's own errors are not the subject.
    for (const stream of [begun, part, never]) stream.on('error', () => undefined);
    begun.pipe(never as unknown as Parameters<typeof begun.pipe>[0]);
    const received = receive(never, { signal: controller.signal });
    if (isBegun) await expect.poll(() => never.readableLength === 0 && never.readableFlowing !== null).toBe(true);
    controller.abort();
    await expect(received).rejects.toMatchObject({ code: 'canceled' });
    expect(await readdir(folder)).toEqual(before);
  });
});

test('whatever an archive names, everything that is stored lies inside', async () => {
  const part = fc.constantFrom('a', 'b', 'c', '..', '.', '', 'ü', '.git');
  const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const entry = fc.oneof(
    name.map((path): Entry => ({ name: path, content: 'x' })),
    fc.tuple(name, name).map(([path, target]): Entry => ({ name: path, type: 'symlink', linkname: target })),
    fc.tuple(name, name).map(([path, target]): Entry => ({ name: path, type: 'link', linkname: target })),
    name.map((path): Entry => ({ name: path, type: 'directory' })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 6 }), async (entries) => {
      // tar-stream takes an empty link name for content to come.
      const sendable = entries.filter(({ name: path, type, linkname }) => path !== '' && (type === undefined || type === 'directory' || linkname !== ''));
      const source = await receive(tarOf(...sendable)).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'invalid' });
      });
      if (!source) return;
      for (const path of source.paths) expect(path.split('/')).not.toContain('..');
      const links = new Map((await entriesOf(source.tarPath)).filter(({ type }) => type === 'symlink').map((header) => [header.name, header.linkname]));
      for (const [path] of links) expect(resolveLinks(path, links), `${path} in ${JSON.stringify([...links])}`).toBeDefined();
    }),
    { numRuns: 300 },
  );
});

/** Where a path ends after its links, from first principles; `undefined` above the root, '' for a loop. */
function resolveLinks(path: string, links: ReadonlyMap<string, string>, hops = 0): string | undefined {
  if (hops > 40) return '';
  const at: string[] = [];
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  for (const [index, part] of parts.entries()) {
    if (part === '..') {
      if (at.length === 0) return undefined;
      at.pop();
      continue;
    }
    at.push(part);
    const target = links.get(at.join('/'));
    if (target !== undefined) return resolveLinks([...at.slice(0, -1), target, ...parts.slice(index + 1)].join('/'), links, hops + 1);
  }
  return at.join('/');
}
