import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { isGzip } from '../src/is-gzip.ts';

const { signal } = new AbortController();

test('the first two bytes tell, and stay', async () => {
  expect(await isGzip(Readable.from([Buffer.from([0x1f, 0x8b, 8])]), signal)).toBe(true);
  const plain = Readable.from([Buffer.from('plain')]);
  expect(await isGzip(plain, signal)).toBe(false);
  expect(await text(plain)).toBe('plain');
});

test('a stream that had ended before it was asked is not waited for', async () => {
  const ended = new Readable({ read: () => undefined });
  ended.push(null);
  await new Promise((resolve) => setImmediate(resolve));
  expect(await isGzip(ended, signal)).toBe(false);
});

test('one that says nothing is waited for until the signal aborts', async () => {
  const leaving = new AbortController();
  const asked = isGzip(new PassThrough(), leaving.signal);
  asked.catch(() => undefined);
  leaving.abort();
  await expect(asked).rejects.toThrow();
});
