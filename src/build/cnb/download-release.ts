/** A release archive from the network, used only when its checksum is the recorded one. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import tar from 'tar-stream';
import { abortError, ForgeError } from '../../errors.ts';
import { withDeadline } from '../../wait.ts';

const firstByteMs = 8000;
const totalMs = 120_000;
const maxArchiveBytes = 200 * 1024 * 1024;

/**
 * Fetches the .tgz and writes the regular files of those names, wherever they stand in it, to `directory`.
 * Throws `unavailable` when the network does not have it, `failed` when the checksum differs.
 */
export async function downloadRelease(
  release: { readonly url: string; readonly sha256: string },
  options: { files: readonly string[]; directory: string; signal: AbortSignal },
): Promise<void> {
  const bytes = await fetchBytes(release.url, options.signal);
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== release.sha256) {
    throw new ForgeError('failed', `${release.url} has the wrong checksum: expected sha256 ${release.sha256}, got ${found}`, { hint: 'something between here and there changed the file; nothing of it was used' });
  }
  const missing = new Set(options.files);
  const extract = tar.extract();
  const read = pipeline(Readable.from([bytes]), createGunzip(), extract, { signal: options.signal });
  for await (const entry of extract) {
    const name = basename(entry.header.name);
    if (entry.header.type === 'file' && missing.delete(name)) await writeFile(join(options.directory, name), entry as AsyncIterable<Uint8Array>, { mode: 0o755 });
    else entry.resume();
  }
  await read;
  if (missing.size > 0) throw new ForgeError('failed', `${release.url} holds no ${[...missing].join(', ')}`);
}

async function fetchBytes(url: string, signal: AbortSignal): Promise<Buffer> {
  using total = withDeadline(totalMs, `${url} did not arrive within ${totalMs / 1000} s`, signal);
  try {
    using first = withDeadline(firstByteMs, `${url} did not answer within ${firstByteMs / 1000} s`, total);
    const response = await fetch(url, { signal: first, redirect: 'follow' });
    first[Symbol.dispose]();
    if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body) {
      size += chunk.length;
      if (size > maxArchiveBytes || total.aborted) throw new Error(total.aborted ? 'too slow' : 'too large');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw new ForgeError('unavailable', `${url} cannot be had (${reasonOf(error)})`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as { message: string; cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message;
}
