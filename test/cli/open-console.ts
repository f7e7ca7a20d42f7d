/** The real `forge` command against the real control socket and operations, in a directory of its own. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { listenControl } from '../../src/control/server.ts';
import { operator } from '../../src/operations/actors.ts';
import { runOperation } from '../../src/operations/run-operation.ts';
import { openStage } from '../operations/stage.ts';
import type { Result, Stage } from '../operations/stage.ts';
import { silentLog } from '../store/open-test-store.ts';

const root = resolve(import.meta.dirname, '../..');
const entry = join(root, 'src/cli/main.ts');

export interface CommandOptions {
  readonly stdin?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the sources as a process of their own; stdin is empty unless given. */
export function forge(argv: readonly string[], { stdin, cwd = root, env = {} }: CommandOptions = {}): Promise<Result> {
  const { promise, resolve: done } = Promise.withResolvers<Result>();
  const child = execFile(process.execPath, [entry, ...argv], { cwd, env: { PATH: process.env['PATH'] ?? '', ...env }, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
    done({ status: error ? Number(error.code) : 0, stdout, stderr });
  });
  child.stdin?.end(stdin ?? '');
  return promise;
}

export interface Console extends Stage {
  readonly data: string;
  /** `forge --data DIR …` */
  forge(argv: readonly string[], options?: CommandOptions): Promise<Result>;
}

export async function openConsole(): Promise<Console> {
  const stage = openStage();
  const { data } = stage.services.config;
  mkdirSync(join(data, 'run'));
  const server = await listenControl({
    socketPath: join(data, 'run', 'admin.sock'),
    mode: 0o600,
    accepts: ['session'],
    log: silentLog,
    onConnection: async (connection) => {
      const argv = connection.hello.kind === 'session' ? connection.hello.argv : [];
      await connection.exit(await runOperation({ ...connection, actor: operator, argv, gitProtocol: undefined }, stage.services));
    },
  });
  onTestFinished(async () => await server.close());
  return Object.assign(stage, { data, forge: (argv: readonly string[], options?: CommandOptions) => forge(['--data', data, ...argv], options) });
}
