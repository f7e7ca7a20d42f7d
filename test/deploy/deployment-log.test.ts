import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { keepBothEnds, openDeploymentLog } from '../../src/deploy/deployment-log.ts';

test('what is printed without end keeps its beginning and its end, and says what is missing', async () => {
  const lines = Array.from({ length: 1_000 }, (_, index) => `line ${String(index).padStart(4, '0')}\n`);
  const kept = await text(Readable.from(lines, { objectMode: false }).pipe(keepBothEnds(25, 30)));
  expect(kept).toBe('line 0000\nline 0001\n\n !     9950 bytes are left out here: a deployment’s log keeps its beginning and its end\n\nline 0997\nline 0998\nline 0999\n');
});

test('what fits both ends is whole, also just past the beginning', async () => {
  const lines = ['line 1\n', 'line 2\n', 'line 3\n'];
  expect(await text(Readable.from(lines, { objectMode: false }).pipe(keepBothEnds(10, 30)))).toBe(lines.join(''));
});

test('a closed log is whole on disk, and goes on where it ended', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'forge-log-')), 'one.log');
  const fail = (error: unknown) => expect(error).toBeUndefined();
  for (const word of ['first\n', 'second\n']) {
    const log = openDeploymentLog({ path, onError: fail });
    log.output.write(word);
    await log.close();
  }
  expect(await readFile(path, 'utf8')).toBe('first\nsecond\n');
});

test('a log that cannot be written says so and takes nothing more', async () => {
  const failures: unknown[] = [];
  const log = openDeploymentLog({ path: join(tmpdir(), 'no-such-folder', 'one.log'), onError: (error) => void failures.push(error) });
  log.output.write('lost\n');
  await log.close();
  expect(failures).toHaveLength(1);
  expect(log.output.writable).toBe(false);
});
