/** What a deployment prints, on disk: its beginning and its end. A task that prints without end must not fill the machine's disk. */
import { createWriteStream } from 'node:fs';
import { Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Far more than a person reads. */
const maxBytes = 32 * 1024 * 1024;
/** How much of the end is kept beside it: why it failed stands there. */
const endBytes = 64 * 1024;

export interface DeploymentLog {
  readonly output: Writable;
  /** Writes what is left. Never throws. */
  close(): Promise<void>;
}

export interface DeploymentLogOptions {
  readonly path: string;
  onOpen?(): void;
  /** The file could not be written; the output takes nothing more. */
  onError(error: unknown): void;
}

/** Opens the file for more; its name is known before it is there. */
export function openDeploymentLog({ path, onOpen, onError }: DeploymentLogOptions): DeploymentLog {
  const file = createWriteStream(path, { flags: 'a', mode: 0o600 });
  if (onOpen) file.once('open', onOpen);
  const output = keepBothEnds(maxBytes, endBytes);
  const written = pipeline(output, file).catch(onError);
  return {
    output,
    close: async () => {
      output.end();
      await written;
    },
  };
}

/** Passes the first `beginning` bytes on as they come, and at the end the last `end` of those that follow, with a line between them of how many are missing. */
export function keepBothEnds(beginning: number, end: number): Transform {
  let passed = 0;
  let held: Buffer[] = [];
  let heldBytes = 0;
  let missing = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (passed + chunk.length <= beginning && heldBytes === 0) {
        passed += chunk.length;
        return done(null, chunk);
      }
      held.push(chunk);
      heldBytes += chunk.length;
      for (let first = held[0]; first && heldBytes - first.length >= end; first = held[0]) {
        held.shift();
        heldBytes -= first.length;
        missing += first.length;
      }
      return done();
    },
    flush(done) {
      if (missing > 0) this.push(`\n !     ${missing} bytes are left out here: a deployment’s log keeps its beginning and its end\n\n`);
      this.push(Buffer.concat(held));
      held = [];
      done();
    },
  });
}
