/** Whole lines of a byte stream; a line that goes on too long is cut into several. */
import { StringDecoder } from 'node:string_decoder';

const maxLineChars = 8192;

export interface LineSplitter {
  /** The lines that this chunk completes. */
  push(chunk: Buffer): string[];
  /** What is left when nothing more comes: one line without its end, or none. */
  end(): string[];
}

export function createLineSplitter(): LineSplitter {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    push: (chunk) => {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop() ?? '';
      const whole = lines.map((line) => line.replace(/\r$/, ''));
      while (rest.length > maxLineChars) {
        whole.push(rest.slice(0, maxLineChars));
        rest = rest.slice(maxLineChars);
      }
      return whole;
    },
    end: () => (rest === '' ? [] : [rest]),
  };
}

export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const splitter = createLineSplitter();
  for await (const chunk of chunks) yield* splitter.push(chunk);
  yield* splitter.end();
}
