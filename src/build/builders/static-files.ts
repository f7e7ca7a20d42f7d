/** The context of a static app's image: its public files, compressed beforehand, below the server's directory. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Pack } from 'tar-stream';
import { addTarEntry, rewriteTar, type TarEntry } from '../rewrite-tar.ts';

const compressibleNames = /\.(html?|css|m?js|json|map|svg|xml|txt|csv|md|wasm|webmanifest|ttf|otf|ico)$/i;
const [minBytes, maxBytes] = [1024, 8 * 1024 * 1024];
/** Files of forge and of builds that stand beside the pages when the root of the app is served. */
const notServed = new Set(['static.json', 'app.json', 'project.toml', 'Procfile', 'Dockerfile']);

export interface StaticFilesOptions {
  readonly tarPath: string;
  /** Folder that is served, '' for the root. */
  readonly root: string;
  /** Files that stand outside of the served folder, by path in the context. */
  readonly extra: Readonly<Record<string, string>>;
  /** Where in the context the served files go, with a slash at its end. */
  readonly below: string;
  /** Called with the path of a link that leads out of the served folder and is left out. */
  readonly onLeftOut: (path: string) => void;
}

/** A tar for a build's context. Errors arrive on the stream. */
export function openStaticFiles(options: StaticFilesOptions): Readable {
  return rewriteTar(options.tarPath, {
    begin: async (pack) => {
      await addTarEntry(pack, { name: './', type: 'directory', mtime: new Date(0) });
      for (const [name, content] of Object.entries(options.extra)) await addTarEntry(pack, { name, mtime: new Date(0) }, content);
    },
    each: async (entry, pack) => {
      const path = servedPath(entry.header.name, options.root);
      if (path === undefined) entry.resume();
      else await copyEntry(entry, { pack, path, options });
    },
  });
}

/** Path below the served folder; `undefined` for what is never served: hidden files, files of builds, what lies elsewhere. */
export function servedPath(name: string, root: string): string | undefined {
  const full = name.replace(/^\.\//, '').replace(/\/$/, '');
  if (root !== '' && !full.startsWith(`${root}/`)) return undefined;
  const path = root === '' ? full : full.slice(root.length + 1);
  if (path === '' || notServed.has(path)) return undefined;
  const isHidden = path.split('/').some((part, depth) => part.startsWith('.') && !(depth === 0 && part === '.well-known'));
  return isHidden ? undefined : path;
}

async function copyEntry(entry: TarEntry, { pack, path, options }: { pack: Pack; path: string; options: StaticFilesOptions }): Promise<void> {
  const { header } = entry;
  const name = options.below + path;
  if (header.type !== 'file') {
    entry.resume();
    const target = linkTarget(header.type, { path, target: header.linkname, options });
    if (target === undefined) return options.onLeftOut(path);
    return await addTarEntry(pack, { name, type: header.type, mode: 0o755, mtime: new Date(0), ...(target === '' ? {} : { linkname: target }) });
  }
  // Larger files keep the commit's time: their ETag changes with every commit, which costs a download, no more.
  if (header.size > maxBytes) return await pipeline(entry, pack.entry({ name, size: header.size, mode: 0o644, mtime: header.mtime }));
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  await addFile(pack, name, Buffer.concat(chunks));
}

/** '' for a folder; `undefined` for a link that leaves the served folder, which would lead into the image's own files. */
function linkTarget(type: string, { path, target, options }: { path: string; target: string; options: StaticFilesOptions }): string | undefined {
  if (type === 'directory') return '';
  if (type === 'link') {
    const served = servedPath(target, options.root);
    return served === undefined ? undefined : options.below + served;
  }
  let depth = path.split('/').length - 1;
  for (const part of target.split('/')) {
    if (part !== '' && part !== '.') depth += part === '..' ? -1 : 1;
    if (depth < 0) return undefined;
  }
  return target;
}

/**
 * nginx makes an ETag of size and time. The time is made of the content, so that an edit of the same length in the same
 * second changes it, and an unchanged file keeps it from one deploy to the next.
 */
async function addFile(pack: Pack, name: string, bytes: Buffer): Promise<void> {
  const mtime = new Date(createHash('sha256').update(bytes).digest().readUInt32BE(0) % 0x7fff_ffff * 1000);
  const add = (suffix: string, content: Buffer): Promise<void> => addTarEntry(pack, { name: name + suffix, mode: 0o644, mtime }, content);
  await add('', bytes);
  if (!compressibleNames.test(name) || bytes.length < minBytes) return;
  const [gz, br] = await Promise.all([
    promisify(gzip)(bytes, { level: 6 }),
    promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
  ]);
  if (gz.length < bytes.length * 0.9) await add('.gz', gz);
  if (br.length < bytes.length * 0.9) await add('.br', br);
}
