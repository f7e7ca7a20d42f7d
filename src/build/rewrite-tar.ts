/** Passes a stored tar through, entry by entry. */
import { createReadStream } from 'node:fs';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract as tarExtract, pack as tarPack, type Header, type Pack } from 'tar-stream';

export type TarEntry = ReturnType<typeof tarExtract> extends AsyncIterable<infer T> ? T : never;
export type TarHeader = Partial<Header> & Pick<Header, 'name'>;

/**
 * A tar made from another: `begin` writes what comes first, `each` writes what becomes of an entry and must read it to
 * its end (or `resume` it). The caller reads the stream to its end or destroys it; errors arrive on it.
 */
export function rewriteTar(path: string, { begin, each }: { begin?: (pack: Pack) => Promise<void>; each: (entry: TarEntry, pack: Pack) => Promise<void> }): Readable {
  const output = new PassThrough();
  const pack = tarPack();
  const extract = tarExtract();
  const fail = (error: unknown): void => {
    extract.destroy();
    pack.destroy();
    output.destroy(error as Error);
  };
  const copy = async (): Promise<void> => {
    await begin?.(pack);
    for await (const entry of extract) await each(entry, pack);
    pack.finalize();
  };
  pipeline(createReadStream(path), extract).catch(fail);
  copy().catch(fail);
  pipeline(pack, output).catch(fail);
  return output;
}

/** Writes an entry whose content is in memory; resolves when it was taken. A file without content needs an empty one. */
export async function addTarEntry(pack: Pack, header: TarHeader, content: string | Buffer = ''): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const taken = (error?: Error | null) => (error ? reject(error) : resolve());
  const hasContent = header.type === undefined || header.type === 'file';
  const sink = hasContent ? pack.entry(header, Buffer.from(content), taken) : pack.entry(header, taken);
  // The same error reaches `taken`; an event without a listener would end the process.
  sink.on('error', () => undefined);
  await promise;
}
