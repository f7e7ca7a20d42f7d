import type { ReadStream, WriteStream } from 'node:tty';

/** What a command of this machine gets of the process that it runs in. */
export interface CommandContext {
  /** Absolute path of the data directory. */
  readonly data: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly stderr: WriteStream;
}
