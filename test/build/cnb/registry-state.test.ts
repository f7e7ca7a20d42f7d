import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { registryConfig, registryContainer, registryNames } from '../../../src/build/cnb/registry-spec.ts';
import { bcrypt, loadRegistryState } from '../../../src/build/cnb/registry-state.ts';

const signal = AbortSignal.timeout(20_000);

describe('the registry’s credentials', () => {
  it('are made once, for its owner’s eyes, and never twice the same', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'forge-registry-'));
    try {
      const path = join(folder, 'a', 'registry.json');
      const state = await loadRegistryState(path, 0, signal);
      expect(state.port).toBeGreaterThan(1023);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect(await loadRegistryState(path, 0, signal)).toEqual(state);
      expect(await loadRegistryState(path, 5001, signal)).toEqual({ ...state, port: 5001 });
      expect((await loadRegistryState(join(folder, 'b'), 0, signal)).password).not.toBe(state.password);
      await writeFile(path, '{');
      await expect(loadRegistryState(path, 0, signal)).rejects.toMatchObject({ code: 'failed', message: `${path} is damaged` });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('are hashed with bcrypt, which is all that the registry takes', async () => {
    const hash = await bcrypt('secret', signal);
    expect(hash).toMatch(/^\$2b\$04\$[./A-Za-z0-9]{53}$/);
    expect(await bcrypt('secret', signal)).not.toBe(hash);
  });
});

describe('the registry’s container', () => {
  it('publishes its port on loopback only, runs without rights, keeps its data in a labelled volume', () => {
    const names = registryNames('0123456789abcdef');
    expect(registryContainer({ names, image: 'i', port: 5001, specKey: 'k' })).toMatchObject({
      name: 'forge-registry-0123456789ab',
      User: '1500:1500',
      Labels: { 'forge.data': '0123456789abcdef', 'forge.registry': 'k' },
      HostConfig: {
        PortBindings: { '5001/tcp': [{ HostIp: '127.0.0.1', HostPort: '5001' }] },
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        Mounts: [{ Type: 'volume', Target: '/var/lib/registry', VolumeOptions: { Labels: { 'forge.data': '0123456789abcdef' } } }],
      },
    });
  });

  it('deletes on request, purges uploads for real and keeps no cache that outlives a collection', () => {
    const config = registryConfig({ port: 5001, httpSecret: 's' });
    expect(config).toMatch(/delete:\n {4}enabled: true/);
    expect(config).toContain('dryrun: false');
    expect(config).not.toContain('blobdescriptor');
  });
});
