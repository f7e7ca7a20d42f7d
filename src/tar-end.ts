/** Whether a tar that streams by is whole: without its end marker, who sent it broke off. */
import type { EventEmitter } from 'node:events';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract as tarExtract } from 'tar-stream';

const blockBytes = 512;

export interface TarEnd {
  add(chunk: Buffer): void;
  /** Whether what came last is what every tar ends with. */
  isReached(): boolean;
}

export function createTarEnd(): TarEnd {
  let tail: Buffer = Buffer.alloc(0);
  return {
    add: (chunk) => {
      tail = chunk.length >= blockBytes ? chunk.subarray(-blockBytes) : Buffer.concat([tail, chunk]).subarray(-blockBytes);
    },
    isReached: () => tail.length === blockBytes && tail.every((byte) => byte === 0),
  };
}

/**
 * The same bytes; fails with `cutOff()` instead of ending when the tar ends within an entry or without its end marker.
 * Zeros alone prove nothing: a file that was cut off may have ended with them. Destroying it destroys the tar.
 */
export function wholeTar(tar: Readable, cutOff: () => Error): Readable {
  const end = createTarEnd();
  const extract = tarExtract();
  let isBroken = false;
  extract.on('error', () => (isBroken = true));
  extract.on('entry', (_header, body, next) => {
    body.on('error', () => undefined);
    body.on('end', next);
    body.resume();
  });
  const output = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      end.add(chunk);
      if (isBroken || extract.write(chunk)) done(null, chunk);
      else onceAny(extract, ['drain', 'close'], () => done(null, chunk));
    },
    flush(done) {
      const answer = (): void => done(isBroken || !end.isReached() ? cutOff() : null);
      if (isBroken) return answer();
      onceAny(extract, ['finish', 'close'], answer);
      extract.end(undefined);
    },
    destroy(error, done) {
      extract.destroy();
      done(error);
    },
  });
  // Who reads it sees the failure.
  pipeline(tar, output).catch(() => undefined);
  return output;
}

function onceAny(emitter: EventEmitter, events: readonly string[], task: () => void): void {
  const run = (): void => {
    for (const event of events) emitter.off(event, run);
    task();
  };
  for (const event of events) emitter.on(event, run);
}
