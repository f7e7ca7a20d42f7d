/** Everything on stdin as text, within a limit and a deadline. */
import type { Session } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { untilAborted, withDeadline } from '../wait.ts';

const inputTimeoutMs = 300_000;

export interface InputRequest {
  readonly maxBytes: number;
  /** Completes "expected … on stdin". */
  readonly what: string;
}

/** Throws `invalid` when stdin is empty, too long or no UTF-8. */
export async function readInput(session: Session, { maxBytes, what }: InputRequest): Promise<string> {
  using signal = withDeadline(inputTimeoutMs, `stdin did not end within ${inputTimeoutMs / 60_000} minutes`, session.signal);
  const bytes = await untilAborted(readBytes(session, maxBytes), signal);
  if (bytes.length === 0) throw new ForgeError('invalid', `stdin is empty: expected ${what}`, { hint: 'forge COMMAND … < file' });
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (error) {
    throw new ForgeError('invalid', 'stdin is not UTF-8 text', { cause: error });
  }
}

async function readBytes({ stdin }: Session, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > maxBytes) throw new ForgeError('invalid', `stdin has more than ${maxBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
