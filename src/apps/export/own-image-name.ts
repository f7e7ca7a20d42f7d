/** An image archive under a name of forge's own and no other: loading it takes no name from an image that is here, and the image is known from its first moment by whose it is. */
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract as tarExtract, pack as tarPack, type Pack } from 'tar-stream';
import { addTarEntry, type TarEntry } from '../../build/rewrite-tar.ts';
import { ForgeError } from '../../errors.ts';

const maxIndexBytes = 8 * 1024 * 1024;

/** Of what `docker save` gives, in the form of the engine and of OCI. Errors arrive on the stream: `invalid` for an archive of more than one image. */
export function withOwnName(archive: AsyncIterable<Buffer>, name: string, signal: AbortSignal): Readable {
  const extract = tarExtract();
  const pack = tarPack();
  const output = new PassThrough();
  const fail = (error: unknown): void => {
    extract.destroy();
    pack.destroy();
    output.destroy(error as Error);
  };
  const copy = async (): Promise<void> => {
    for await (const entry of extract) await copyEntry(entry, pack, { ownName: name, signal });
    pack.finalize();
  };
  pipeline(Readable.from(archive), extract, { signal }).catch(fail);
  copy().catch(fail);
  pipeline(pack, output, { signal }).catch(fail);
  return output;
}

async function copyEntry(entry: TarEntry, pack: Pack, { ownName, signal }: { readonly ownName: string; readonly signal: AbortSignal }): Promise<void> {
  const { header } = entry;
  const name = header.name.replace(/^\.\//, '');
  if (name === 'repositories') return void entry.resume();
  if (name === 'manifest.json' || name === 'index.json') {
    const content = Buffer.from(JSON.stringify(rename(readJson(await readSmall(entry)), ownName)));
    return await addTarEntry(pack, { ...header, size: content.length }, content);
  }
  if (header.type === 'file' && (header.size ?? 0) > 0) return await pipeline(entry, pack.entry(header), { signal });
  entry.resume();
  await addTarEntry(pack, header);
}

function readJson(content: Buffer): unknown {
  const value = JSON.parse(content.toString('utf8')) as unknown;
  if (Array.isArray(value) && value.length > 1) throw new ForgeError('invalid', 'the export holds more than one image');
  return value;
}

/** `RepoTags` of the engine's manifest; annotations of an OCI index, wherever they stand. */
function rename(value: unknown, ownName: string): unknown {
  if (Array.isArray(value)) return value.map((inner) => rename(inner, ownName));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'annotations');
  return Object.fromEntries(kept.map(([key, inner]) => [key, key === 'RepoTags' ? [ownName] : rename(inner, ownName)]));
}

async function readSmall(entry: TarEntry): Promise<Buffer> {
  if ((entry.header.size ?? 0) > maxIndexBytes) throw new ForgeError('invalid', 'the image of the export has an index that is too large');
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
