import { resolve } from 'node:path';
import { execa } from 'execa';

/** Scenarios run the program as it is installed, so it is compiled before the first of them. */
export default async function compile(): Promise<void> {
  const root = resolve(import.meta.dirname, '../..');
  await execa(process.execPath, [resolve(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}
