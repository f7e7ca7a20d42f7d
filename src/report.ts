/** What a pusher reads while a deploy goes on, in the form Dokku's users know; the same text goes to the deployment's log. */
import type { Writable } from 'node:stream';
import { once } from 'node:events';
import { terminalText } from './terminal-text.ts';

export interface Report {
  /** `-----> Building with Dockerfile` */
  step(text: string): void;
  /** Seven spaces and the text; several lines are indented each. */
  body(text: string): void;
  /** `=====> Application deployed:` */
  done(text: string): void;
  /** ` !     what went wrong` */
  problem(text: string): void;
  /** Resolves when the readers have taken what was written; builders await it while they stream. */
  flushed(): Promise<void>;
}

/** A report that writes to every output; one that is gone is left out, the rest go on. `redact` masks what nobody may read. */
export function createReport(outputs: readonly Writable[], redact: (text: string) => string = (text) => text): Report {
  const write = (prefix: string, text: string): void => {
    const lines = redact(text).replace(/\r?\n$/, '').split(/\r?\n/);
    // Once more: what the terminal must not get may have stood inside a value.
    const block = lines.map((line) => `${prefix}${redact(terminalText(line))}\n`.replace(/^ +\n$/, '\n')).join('');
    for (const output of outputs) if (output.writable) output.write(block);
  };
  return {
    step: (text) => write('-----> ', text),
    body: (text) => write('       ', text),
    done: (text) => write('=====> ', text),
    problem: (text) => write(' !     ', text),
    flushed: async () => {
      await Promise.all(outputs.map(drained));
    },
  };
}

async function drained(output: Writable): Promise<void> {
  if (!output.writable || !output.writableNeedDrain) return;
  const gone = new AbortController();
  try {
    await Promise.race([
      once(output, 'drain', { signal: gone.signal }),
      once(output, 'close', { signal: gone.signal }),
    ]);
  } catch {
    // An output that failed has no reader left to wait for.
  } finally {
    gone.abort();
  }
}
