/** The route table's copy on disk: what the proxy serves from when it starts while the control plane is down. */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { RouteTable } from '../domain.ts';
import type { Log } from '../log.ts';

const fileName = 'routes.json';

/** Replaces the copy as a whole: written aside, synced, renamed. After a crash there is the old one or the new one. */
export async function saveRoutes(stateDir: string, table: RouteTable): Promise<void> {
  await mkdir(stateDir, { recursive: true, mode: 0o750 });
  const path = join(stateDir, fileName);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(table));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const directory = await open(stateDir, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The copy, or `undefined` when there is none or it cannot be read; then the log says so. */
export async function loadRoutes(stateDir: string, log: Log): Promise<RouteTable | undefined> {
  const path = join(stateDir, fileName);
  try {
    const table = JSON.parse(await readFile(path, 'utf8')) as RouteTable;
    if (!Number.isSafeInteger(table.version) || !Array.isArray(table.routes)) throw new Error('not a route table');
    return table;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') log.error({ err: error, path }, 'the saved routes cannot be read; waiting for the control plane');
    return undefined;
  }
}
