/** The first line of stdin, for a secret: never an argument, which other users of a machine can read. What follows stays unread. */
import { once } from 'node:events';
import type { Session } from '../domain.ts';
import { abortError, ForgeError } from '../errors.ts';
import { untilAborted, withDeadline } from '../wait.ts';

const waitMs = 300_000;
const maxBytes = 1000;
const newline = 0x0a;

/** Without its end. `what` is asked on stderr. Throws `invalid` when stdin ends before, or has no line of text. */
export async function readFirstLine(session: Session, what: string): Promise<string> {
  session.stderr.write(`${what} (first line of stdin): `);
  using signal = withDeadline(waitMs, `no ${what.toLowerCase()} came within ${waitMs / 60_000} minutes`, session.signal);
  try {
    return await untilAborted(readLine(session, what, signal), signal);
  } finally {
    session.stderr.write('\n');
  }
}

async function readLine({ stdin }: Session, what: string, signal: AbortSignal): Promise<string> {
  let line = Buffer.alloc(0);
  for (;;) {
    const chunk = stdin.read() as Buffer | string | null;
    if (chunk === null) {
      if (stdin.readableEnded || stdin.destroyed) throw new ForgeError('invalid', `stdin ended before ${what.toLowerCase()}: expected it in the first line`);
      const waiting = new AbortController();
      await Promise.race(['readable', 'end', 'close'].map(async (event) => await once(stdin, event, { signal: AbortSignal.any([signal, waiting.signal]) }))).finally(() => waiting.abort());
      if (signal.aborted) throw abortError(signal);
      continue;
    }
    const bytes = Buffer.from(chunk);
    const at = bytes.indexOf(newline);
    line = Buffer.concat([line, at < 0 ? bytes : bytes.subarray(0, at)]);
    if (line.length > maxBytes || line.includes(0)) throw new ForgeError('invalid', `the first line of stdin is no ${what.toLowerCase()}: expected text of at most ${maxBytes} bytes`);
    if (at < 0) continue;
    if (at + 1 < bytes.length) stdin.unshift(bytes.subarray(at + 1));
    return line.toString('utf8').replace(/\r$/, '');
  }
}
