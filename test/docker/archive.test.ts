import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import tar from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { packEntries, repackOwned } from '../../src/docker/archive.ts';

const signal = AbortSignal.timeout(10_000);

async function list(stream: Readable): Promise<{ name: string; mode: number | undefined; uid: number | undefined; gid: number | undefined; type: string | null | undefined; linkname: string | null | undefined; content: string }[]> {
  const extract = tar.extract();
  stream.pipe(extract);
  const found = [];
  for await (const entry of extract) {
    const { name, mode, uid, gid, type, linkname } = entry.header;
    found.push({ name, mode, uid, gid, type, linkname, content: (await buffer(entry as unknown as Readable)).toString() });
  }
  return found;
}

describe('an archive of entries', () => {
  it('holds files, directories and links with their owners, the same bytes every time', async () => {
    const entries = [{ path: 'a/', uid: 7, gid: 8 }, { path: 'a/b', content: 'hi', mode: 0o600 }, { path: 'a/c', linkTo: 'b' }];
    const bytes = await buffer(packEntries(entries));
    expect(await buffer(packEntries(entries))).toEqual(bytes);
    expect(await list(Readable.from([bytes]))).toMatchObject([
      { name: 'a/', type: 'directory', mode: 0o755, uid: 7, gid: 8 },
      { name: 'a/b', type: 'file', mode: 0o600, uid: 0, content: 'hi' },
      { name: 'a/c', type: 'symlink', linkname: 'b' },
    ]);
  });

  it('takes over a source below a folder, owned by another user, with what is wanted of it', async () => {
    const source = tar.pack();
    source.entry({ name: './', type: 'directory', mode: 0o775 });
    source.entry({ name: './run.sh', mode: 0o100775 }, '#!/bin/sh\n');
    source.entry({ name: './link', type: 'symlink', linkname: '../x' });
    source.entry({ name: `./${'deep/'.repeat(60)}file`, mode: 0o644 }, 'long');
    source.entry({ name: './hard', type: 'link', linkname: './run.sh' });
    source.entry({ name: './empty' }, '');
    source.entry({ name: './folder/', type: 'directory', mode: 0o755 });
    source.entry({ name: './no.log' }, 'x');
    source.entry({ name: './last' }, '');
    source.finalize();
    const target = tar.pack();
    const filled = repackOwned(source as unknown as Readable, target, { prefix: 'workspace/', owner: { uid: 5, gid: 6 }, isWanted: (path) => path !== 'no.log', signal }).then(() => target.finalize());
    expect(await list(target as unknown as Readable)).toMatchObject([
      { name: 'workspace/run.sh', mode: 0o775, uid: 5, gid: 6, content: '#!/bin/sh\n' },
      { name: 'workspace/link', type: 'symlink', linkname: '../x' },
      { name: `workspace/${'deep/'.repeat(60)}file`, content: 'long', uid: 5 },
      { name: 'workspace/hard', type: 'link', linkname: 'workspace/run.sh' },
      { name: 'workspace/empty', type: 'file', content: '' },
      { name: 'workspace/folder/', type: 'directory' },
      { name: 'workspace/last', type: 'file', content: '' },
    ]);
    await filled;
  });
});
