/** Version of forge, without `v`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const packagePath = join(import.meta.dirname, '../package.json');

export const forgeVersion: string = (JSON.parse(readFileSync(packagePath, 'utf8')) as { version: string }).version;
