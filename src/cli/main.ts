/** Entry of `forge`. Everything that a common command does not need is imported later. */
import { cwd } from 'node:process';
import { runCommandLine } from './run-command-line.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  cwd: cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
});
