/** `npm run check`: types, lint and unit tests at the same time; prints what each said as it ends. Fails when one does. */
import { join } from 'node:path';
import { execa } from 'execa';

const tools = join(import.meta.dirname, '../node_modules/.bin');
const checks = { types: ['tsc', '--noEmit', '-p', 'tsconfig.json'], lint: ['eslint', '.'], unit: ['vitest', 'run', '--project', 'unit'] } as const;

const outcomes = await Promise.all(
  Object.entries(checks).map(async ([name, [tool, ...args]]) => {
    const { exitCode, all, durationMs } = await execa(join(tools, tool), args, { all: true, reject: false, stdin: 'ignore' });
    console.log(`${exitCode === 0 ? 'ok  ' : 'FAIL'} ${name} (${(durationMs / 1000).toFixed(0)} s)\n${all}`);
    return exitCode === 0;
  }),
);
process.exitCode = outcomes.every(Boolean) ? 0 : 1;
