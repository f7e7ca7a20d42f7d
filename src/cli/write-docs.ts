/** `npm run docs`: writes the pages of docs/ that are printed from the program. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { configDocs } from '../config.ts';
import { operationsReference } from './operations-reference.ts';

const docs = resolve(import.meta.dirname, '../../docs');
const configuration = join(docs, 'configuration.md');
const table = /(<!-- settings -->\n)[\s\S]*?(<!-- end of settings -->)/;

writeFileSync(join(docs, 'operations-reference.md'), operationsReference());
writeFileSync(configuration, readFileSync(configuration, 'utf8').replace(table, (_all, start: string, end: string) => `${start}\n${configDocs()}\n${end}`));
