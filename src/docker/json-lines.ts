import { StringDecoder } from 'node:string_decoder';
import { ForgeError } from '../errors.ts';

/** No message of the engine comes near this; it bounds what a broken stream can make forge hold. */
const maxLineChars = 32 * 1024 * 1024;

/** JSON values of a stream, one a line, as the engine sends progress and events. Reads only as fast as the caller takes them. */
export async function* readJsonLines<T>(stream: AsyncIterable<Buffer | string>): AsyncGenerator<T> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineChars) throw new ForgeError('internal', 'the Docker Engine sent a line longer than 32 MiB');
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as T;
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as T;
}
