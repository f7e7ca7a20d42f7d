import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { capBuilds } from '../../../src/build/builders/cap-builds.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'forge-cgroup-'))));
afterEach(() => rmSync(root, { recursive: true }));

const caps = { memoryBytes: 4096, cpuShares: 512, tasks: 100 };
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** A folder as the kernel lays it out; what the kernel itself does with the values is not shown here. */
describe('builds are capped together', () => {
  it('in each controller of control groups v1', async () => {
    mkdirSync(join(root, 'memory'));
    writeFileSync(join(root, 'memory/release_agent'), '');
    expect(await capBuilds(caps, root)).toBe(true);
    expect(read('memory/docker/buildkit/memory.limit_in_bytes')).toBe('4096');
    expect(read('cpu/docker/buildkit/cpu.shares')).toBe('512');
    expect(read('pids/docker/buildkit/pids.max')).toBe('100');
  });

  it('in the one tree of v2, with the controllers handed down', async () => {
    writeFileSync(join(root, 'cgroup.controllers'), 'cpu memory pids');
    mkdirSync(join(root, 'docker'));
    expect(await capBuilds(caps, root)).toBe(true);
    expect(read('docker/buildkit/memory.max')).toBe('4096');
    expect(read('docker/buildkit/cpu.weight')).toBe('20');
    expect(read('docker/cgroup.subtree_control')).toBe('+memory +cpu +pids');
  });

  it('not where the engine makes scopes of systemd, nor without the host’s groups', async () => {
    expect(await capBuilds(caps, root)).toBe(false);
    writeFileSync(join(root, 'cgroup.controllers'), 'cpu memory pids');
    mkdirSync(join(root, 'system.slice'));
    expect(await capBuilds(caps, root)).toBe(false);
  });
});
