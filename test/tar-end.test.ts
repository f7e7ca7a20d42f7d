import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pack as tarPack } from 'tar-stream';
import { expect, it } from 'vitest';
import { wholeTar } from '../src/tar-end.ts';

async function tar(files: Readonly<Record<string, Buffer>>): Promise<Buffer> {
  const pack = tarPack();
  for (const [name, content] of Object.entries(files)) pack.entry({ name }, content);
  pack.finalize();
  return await buffer(pack);
}

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

const through = async (bytes: Buffer, size = 1000): Promise<Buffer> => await buffer(wholeTar(Readable.from(inChunks(bytes, size)), () => new Error('cut off')));

const files = { 'volume/a': Buffer.alloc(100_000, 'a'), [`volume/${'long'.repeat(60)}`]: Buffer.alloc(3), 'volume/zeros': Buffer.alloc(64 * 1024) };

it('a whole tar passes as it is, in chunks of any size', async () => {
  const whole = await tar(files);
  for (const size of [1, 511, 512, 65_536, 1_000_000]) expect((await through(whole, size)).equals(whole)).toBe(true);
  expect((await through(await tar({}))).length).toBe(1024);
});

it('one that ends early fails wherever that is, also among the zeros of a file or between two entries', async () => {
  const whole = await tar(files);
  for (const cut of [0, 100, 512, 50_000, 100_864, whole.length - 1024 - 32 * 1024]) await expect(through(whole.subarray(0, cut)), String(cut)).rejects.toThrow('cut off');
});

it('the failure of its source is its own, and who leaves early ends the source', async () => {
  const failing = wholeTar(Readable.from((async function* () { yield await tar(files); throw new Error('the engine is away'); })()), () => new Error('cut off'));
  await expect(buffer(failing)).rejects.toThrow('the engine is away');
  const source = new Readable({ read: () => undefined });
  wholeTar(source, () => new Error('cut off')).destroy();
  await expect.poll(() => source.destroyed).toBe(true);
});
