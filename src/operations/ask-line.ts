/** One line typed by the person on the other side. */
import type { Session } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { untilAborted, withDeadline } from '../wait.ts';

const answerTimeoutMs = 120_000;
const maxLength = 1000;

/**
 * Asks on stderr and reads one line, without its end. A terminal is in raw mode: what is typed is echoed here, Ctrl-C
 * cancels. Without a terminal the line comes from stdin; an empty stdin gives ''.
 */
export async function askLine(session: Session, question: string): Promise<string> {
  session.stderr.write(question);
  using signal = withDeadline(answerTimeoutMs, 'nothing was answered for two minutes', session.signal);
  return await untilAborted(readLine(session), signal);
}

async function readLine({ stdin, stderr, terminal }: Session): Promise<string> {
  let line = '';
  for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
    for (const character of chunk.toString()) {
      if (character === '\x03') throw new ForgeError('canceled', 'canceled');
      if (character === '\r' || character === '\n' || character === '\x04') {
        if (terminal) stderr.write('\r\n');
        return line;
      }
      if (character === '\x7f' || character === '\b') {
        if (terminal && line.length > 0) stderr.write('\b \b');
        line = line.slice(0, -1);
      } else if (line.length < maxLength) {
        line += character;
        if (terminal) stderr.write(character);
      }
    }
  }
  return line;
}
