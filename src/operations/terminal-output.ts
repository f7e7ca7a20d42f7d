/** Output for a terminal on the other side of SSH: its client is in raw mode, where a line feed alone does not go back to the left. */
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';

export interface TerminalOutput {
  readonly stream: Writable;
  /** Resolves when everything was handed on, or nobody takes it any more. */
  flush(): Promise<void>;
}

/** Writes to `target` with `\r\n` for every `\n`; never ends it. */
export function terminalOutput(target: Writable): TerminalOutput {
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: Buffer | string, _encoding, done) {
      if (!target.writable) return done();
      target.write(withReturns(chunk), () => done());
    },
  });
  return {
    stream,
    flush: async () => {
      stream.end();
      await finished(stream).catch(() => undefined);
    },
  };
}

function withReturns(chunk: Buffer | string): Buffer | string {
  if (typeof chunk === 'string') return chunk.replaceAll(/\r?\n/g, '\r\n');
  // Latin-1 maps each byte to one character and back: a character cut in two by a chunk's end stays whole.
  return Buffer.from(chunk.toString('latin1').replaceAll(/\r?\n/g, '\r\n'), 'latin1');
}
