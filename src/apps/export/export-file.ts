/** The file of an export as a stream, written and read entry by entry; nothing of it is held but the entry at hand. */
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract as tarExtract, pack as tarPack } from 'tar-stream';
import { addTarEntry, type TarEntry } from '../../build/rewrite-tar.ts';
import { abortError, ForgeError, isForgeError } from '../../errors.ts';
import { forgeVersion } from '../../version.ts';
import { appName, endName, formatNumber, headName, maxAppBytes, pieceBytes, readEnd, readExportedApp, readHead, type ExportedApp, type ExportHead } from './format.ts';
import { createSeal, newSalt, sealBytes, type Seal } from './seal.ts';

export interface ExportWriter {
  /** What is to be sent; read it while the rest is written. */
  readonly stream: Readable;
  writeApp(app: ExportedApp): Promise<void>;
  /** In pieces under this name. */
  writeSection(name: string, content: AsyncIterable<Buffer>): Promise<void>;
  end(): Promise<void>;
  fail(error: unknown): void;
}

export async function createExportWriter(options: { readonly app: string; readonly passphrase: string; readonly now: Date }): Promise<ExportWriter> {
  const salt = newSalt();
  const head = Buffer.from(`${JSON.stringify({ format: formatNumber, forge: forgeVersion, app: options.app, createdAt: options.now.toISOString(), salt } satisfies ExportHead)}\n`);
  const seal = await createSeal(options.passphrase, { salt, head });
  const pack = tarPack();
  const stream = new PassThrough();
  pipeline(pack, stream).catch(() => undefined);
  let entries = 0;
  const add = async (name: string, content: Buffer): Promise<void> => {
    entries += 1;
    await addTarEntry(pack, { name, mode: 0o600, mtime: options.now }, content);
  };
  const write = async (name: string, content: Buffer): Promise<void> => await add(name, seal.seal(name, content));
  const begun = add(headName, head);
  return {
    stream,
    writeApp: async (app) => {
      await begun;
      await write(appName, Buffer.from(JSON.stringify(app)));
    },
    writeSection: async (name, content) => {
      let index = 0;
      for await (const piece of inPieces(content)) await write(`${name}/${String(index++).padStart(6, '0')}`, piece);
    },
    end: async () => {
      await write(endName, Buffer.from(JSON.stringify({ entries })));
      pack.finalize();
    },
    fail: (error) => {
      pack.destroy();
      stream.destroy(error as Error);
    },
  };
}

async function* inPieces(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of content) {
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + pieceBytes - length);
      parts.push(part);
      length += part.length;
      from += part.length;
      if (length < pieceBytes) continue;
      yield Buffer.concat(parts);
      parts = [];
      length = 0;
    }
  }
  if (length > 0) yield Buffer.concat(parts);
}

export interface Section {
  /** `volumes/data` */
  readonly name: string;
  readonly content: AsyncIterable<Buffer>;
}

export interface ExportReader {
  readonly head: ExportHead;
  readonly app: ExportedApp;
  /** In the order of the file; each is to be read to its end before the next. Ends after the whole file was found to be there. */
  sections(): AsyncIterable<Section>;
  close(): void;
}

/** Reads up to the sections. Throws `invalid` for what is no export, a wrong passphrase, or a file that was changed. */
export async function openExport(input: Readable, { passphrase, signal }: { readonly passphrase: string; readonly signal: AbortSignal }): Promise<ExportReader> {
  const extract = tarExtract();
  let failure: unknown;
  const fed = pipeline(input, extract, { signal }).catch((error: unknown) => {
    failure = error;
    extract.destroy(error as Error);
  });
  void fed;
  const iterator = extract[Symbol.asyncIterator]() as AsyncIterator<TarEntry>;
  const next = async (): Promise<{ name: string; content: Buffer }> => {
    try {
      const { value, done } = await iterator.next();
      if (done === true || value === undefined) throw cutOff();
      return { name: value.header.name, content: await readWhole(value) };
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      const known = [failure, error].find(isForgeError);
      throw known ?? cutOff(failure ?? error);
    }
  };
  const first = await next();
  if (first.name !== headName) throw new ForgeError('invalid', 'this is no export of an app', { hint: 'expected the passphrase in the first line, then what forge apps:export printed' });
  const head = readHead(first.content);
  const seal = await createSeal(passphrase, { salt: head.salt, head: first.content });
  const second = await next();
  if (second.name !== appName) throw new ForgeError('invalid', 'the export does not begin with its app');
  const app = readExportedApp(seal.open(appName, second.content));
  return { head, app, sections: () => readSections(next, seal), close: () => void extract.destroy() };
}

async function* readSections(next: () => Promise<{ name: string; content: Buffer }>, seal: Seal): AsyncGenerator<Section> {
  let entries = 2;
  let waiting = await next();
  const pieces = async function* (section: string): AsyncGenerator<Buffer> {
    for (let index = 0; waiting.name === `${section}/${String(index).padStart(6, '0')}`; index++) {
      const piece = seal.open(waiting.name, waiting.content);
      entries += 1;
      waiting = await next();
      yield piece;
    }
  };
  while (waiting.name !== endName) {
    const name = waiting.name.replace(/\/000000$/, '');
    if (name === waiting.name) throw new ForgeError('invalid', `the export has an entry out of place: ${JSON.stringify(waiting.name.slice(0, 100))}`);
    const section = { name, content: pieces(name) };
    yield section;
    // What nobody wanted is checked all the same.
    for await (const _piece of section.content) continue;
  }
  if (readEnd(seal.open(endName, waiting.content)).entries !== entries) throw new ForgeError('invalid', 'the export is not whole: entries are missing');
}

async function readWhole(entry: TarEntry): Promise<Buffer> {
  const size = entry.header.size ?? 0;
  const limit = entry.header.name.includes('/') ? pieceBytes + sealBytes : maxAppBytes;
  if (size > limit) throw new ForgeError('invalid', 'this is no export of an app: it has an entry that is too large');
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const cutOff = (cause?: unknown): ForgeError => new ForgeError('invalid', 'the export ends before its end, or is none', { hint: 'nothing was imported; send the whole file', ...(cause === undefined ? {} : { cause }) });
