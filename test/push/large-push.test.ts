import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGitWorld, type GitWorld } from '../git/git-world.ts';

let world: GitWorld;
beforeEach(async () => {
  world = await createGitWorld();
});
afterEach(async () => {
  await world.close();
});

describe('forge', () => {
  it.each(['http', 'ssh'] as const)('takes a push of 100 MB without holding it in memory, over %s', async (transport) => {
    const folder = await world.workspace('w');
    // The client's own work is not what is looked at.
    await world.git(folder, 'config', 'core.compression', '0');
    // Files that git neither compresses nor finds alike.
    for (const name of ['a.bin', 'b.bin', 'c.bin', 'd.bin', 'e.bin']) {
      await pipeline(Readable.from(Array.from({ length: 25 }, () => randomBytes(1024 * 1024 * 0.8))), createWriteStream(join(folder, name)));
    }
    const commit = await world.commit(folder, {});
    let receivedBytes = 0;
    world.deploy = async (request) => {
      for await (const chunk of (await request.openSource?.(request.signal)) ?? []) receivedBytes += (chunk as Buffer).length;
    };
    const before = process.memoryUsage().rss;
    let highest = before;
    const watch = setInterval(() => (highest = Math.max(highest, process.memoryUsage().rss)), 20);
    const pushed = await world.git(folder, 'push', transport === 'ssh' ? world.sshUrl('hello') : world.httpUrl('hello'), 'main');
    clearInterval(watch);
    expect(pushed).toMatchObject({ status: 0 });
    expect(receivedBytes).toBeGreaterThan(100_000_000);
    expect(await world.repositories.resolveRef('hello', 'refs/heads/main')).toBe(commit);
    expect((highest - before) / 1024 / 1024).toBeLessThan(64);
  });
});
