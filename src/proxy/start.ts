/**
 * Entry of the proxy as a child process: `node start.js '<ProxyOptions as JSON>' [until-stdin-ends]`. Prints one line of JSON with its
 * addresses once it serves; ends on SIGTERM or SIGINT when what is in flight has ended.
 */
import { exitStatusOf, isForgeError } from '../errors.ts';
import { runProxy } from './main.ts';
import type { ProxyOptions } from './options.ts';

try {
  const proxy = await runProxy(JSON.parse(process.argv[2] ?? '{}') as ProxyOptions);
  const stop = (): void => {
    void proxy.close().finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  // `forge up` holds the other end of stdin: when it is killed, its proxy frees the ports by itself.
  if (process.argv[3] === 'until-stdin-ends') process.stdin.once('end', stop).once('error', stop).resume();
  process.stdout.write(`${JSON.stringify(proxy.addresses)}\n`);
} catch (error) {
  process.stderr.write(`${isForgeError(error) ? [error.message, error.hint].filter(Boolean).join('\n') : String((error as Error).stack)}\n`);
  process.exitCode = exitStatusOf(error);
}
