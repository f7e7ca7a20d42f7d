/** Set up before each test file: a test that fails also shows its commands that failed. */
import { afterEach, beforeEach } from 'vitest';
import { takeFailedCommands } from './failed-commands.ts';

beforeEach(() => void takeFailedCommands());
afterEach(({ task }) => {
  const commands = takeFailedCommands();
  if (task.result?.state !== 'fail' || commands.length === 0) return;
  process.stderr.write(`\nCommands of "${task.name}" that failed, at most the last five:\n\n${commands.join('\n\n')}\n`);
});
