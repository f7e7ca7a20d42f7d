import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockFile } from '../src/file-lock.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'forge-lock-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('is held by one at a time', () => {
  const path = join(folder, 'lock');
  const first = lockFile(path);
  expect(first).toBeDefined();
  expect(lockFile(path)).toBeUndefined();
  // Nothing but the name: it can be locked on a full disk.
  expect(readdirSync(folder)).toEqual(['lock']);
  expect(statSync(path).size).toBe(0);
  first?.[Symbol.dispose]();
  using second = lockFile(path);
  expect(second).toBeDefined();
});

it('ends with its process, however that ends', async () => {
  const path = join(folder, 'lock');
  const source = `import { lockFile } from ${JSON.stringify(join(import.meta.dirname, '../src/file-lock.ts'))}; globalThis.lock = lockFile(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000);`;
  const other = execa(process.execPath, ['--input-type=module', '-e', source], { reject: false });
  await once(other.stdout, 'data');
  expect(lockFile(path)).toBeUndefined();
  other.kill('SIGKILL');
  await other;
  using lock = lockFile(path);
  expect(lock).toBeDefined();
});
