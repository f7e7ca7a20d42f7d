/** An image archive without names: loading it gives an image an id, and takes no name from an image that is here. */
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract as tarExtract, pack as tarPack, type Pack } from 'tar-stream';
import { addTarEntry, type TarEntry } from '../../build/rewrite-tar.ts';
import { ForgeError } from '../../errors.ts';

const maxIndexBytes = 8 * 1024 * 1024;

/** Of what `docker save` gives, in the form of the engine and of OCI. Errors arrive on the stream. */
export function withoutNames(archive: AsyncIterable<Buffer>, signal: AbortSignal): Readable {
  const extract = tarExtract();
  const pack = tarPack();
  const output = new PassThrough();
  const fail = (error: unknown): void => {
    extract.destroy();
    pack.destroy();
    output.destroy(error as Error);
  };
  const copy = async (): Promise<void> => {
    for await (const entry of extract) await copyEntry(entry, pack, signal);
    pack.finalize();
  };
  pipeline(Readable.from(archive), extract, { signal }).catch(fail);
  copy().catch(fail);
  pipeline(pack, output, { signal }).catch(fail);
  return output;
}

async function copyEntry(entry: TarEntry, pack: Pack, signal: AbortSignal): Promise<void> {
  const { header } = entry;
  const name = header.name.replace(/^\.\//, '');
  if (name === 'repositories') return void entry.resume();
  if (name === 'manifest.json' || name === 'index.json') {
    const content = Buffer.from(JSON.stringify(forgetNames(JSON.parse((await readSmall(entry)).toString('utf8')))));
    return await addTarEntry(pack, { ...header, size: content.length }, content);
  }
  if (header.type === 'file' && (header.size ?? 0) > 0) return await pipeline(entry, pack.entry(header), { signal });
  entry.resume();
  await addTarEntry(pack, header);
}

/** `RepoTags` of the engine's manifest, annotations of an OCI index, wherever they stand. */
function forgetNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(forgetNames);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'annotations');
  return Object.fromEntries(kept.map(([key, inner]) => [key, key === 'RepoTags' ? null : forgetNames(inner)]));
}

async function readSmall(entry: TarEntry): Promise<Buffer> {
  if ((entry.header.size ?? 0) > maxIndexBytes) throw new ForgeError('invalid', 'the image of the export has an index that is too large');
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
