import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../store/open-test-store.ts';
import { openConsole } from './open-console.ts';

it('a backup to a file takes away what killed ones to the same file have left, and nothing else', async () => {
  const { forge } = await openConsole();
  const folder = temporaryDirectory();
  const ended = spawnSync('true').pid;
  const kept = [`.daily.backup.${process.pid}.part`, `.other.${ended}.part`, `.daily.backup.x.part`];
  for (const name of [...kept, `.daily.backup.${ended}.part`]) writeFileSync(join(folder, name), 'x');
  expect(await forge(['backup', '--to', 'daily.backup'], { cwd: folder })).toMatchObject({ status: 0 });
  expect(readdirSync(folder).sort()).toEqual([...kept, 'daily.backup'].sort());
});
