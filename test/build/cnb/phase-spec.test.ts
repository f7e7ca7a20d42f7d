import { describe, expect, it } from 'vitest';
import { type BuildPlace, phaseContainer } from '../../../src/build/cnb/phase-spec.ts';

const place: BuildPlace = {
  app: 'hello',
  deploymentId: 'd1',
  builder: { reference: 'b', id: 'sha256:b', uid: 1001, gid: 1002, platformApi: '0.13', runImage: 'r', buildpacks: [] },
  registry: { containerId: 'reg', host: '127.0.0.1:5555', login: { username: 'forge', password: 'hunter2', serveraddress: '127.0.0.1:5555' } },
  image: '127.0.0.1:5555/apps/hello:latest',
  runImage: '127.0.0.1:5555/run@sha256:1',
  layersVolume: 'layers',
  workspaceVolume: 'workspace',
  cacheVolume: 'cache',
  network: 'net',
  labels: { a: 'b' },
  cacheLabels: { c: 'd' },
  memoryBytes: 1000,
  proxies: ['http_proxy=http://p'],
  hasOrder: undefined,
};
const phases = ['analyze', 'build', 'export'] as const;

describe('the containers of a build', () => {
  it('run as the builder’s user without any capability, limited, never with the host’s network or a bind mount', () => {
    for (const phase of phases) {
      const { HostConfig, User, Image } = phaseContainer(phase, place);
      expect({ User, Image }).toEqual({ User: '1001:1002', Image: 'sha256:b' });
      expect(HostConfig).toMatchObject({ CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'] });
      expect(HostConfig?.Memory).toBeGreaterThan(0);
      expect(HostConfig?.MemorySwap).toBe(HostConfig?.Memory);
      expect(HostConfig?.PidsLimit).toBeGreaterThan(0);
      expect(HostConfig?.Binds).toBeUndefined();
      expect(HostConfig?.Mounts?.every(({ Type }) => Type === 'volume')).toBe(true);
      expect(HostConfig?.Privileged).toBeUndefined();
    }
  });

  it('give the registry’s password to analyze and export alone, and its network namespace with it', () => {
    const holds = (phase: (typeof phases)[number]): boolean => JSON.stringify(phaseContainer(phase, place)).includes(Buffer.from('forge:hunter2').toString('base64'));
    expect(phases.map(holds)).toEqual([true, false, true]);
    expect(phases.map((phase) => phaseContainer(phase, place).HostConfig?.NetworkMode)).toEqual(['container:reg', 'net', 'container:reg']);
  });

  it('hand proxies to what runs the app’s code', () => {
    expect(phases.map((phase) => phaseContainer(phase, place).Env?.includes('http_proxy=http://p'))).toEqual([false, true, false]);
  });

  it('share fresh volumes; analyze sees neither source nor cache', () => {
    const targets = (phase: (typeof phases)[number]) => phaseContainer(phase, place).HostConfig?.Mounts?.map(({ Target }) => Target);
    expect(targets('analyze')).toEqual(['/layers']);
    expect(targets('build')).toEqual(['/layers', '/workspace', '/cache']);
    expect(targets('export')).toEqual(['/layers', '/workspace', '/cache']);
  });

  it('take the image’s name as an argument, never as part of a script', () => {
    for (const phase of phases) expect(JSON.stringify(phaseContainer(phase, place).Entrypoint)).not.toContain('hello');
    expect(phaseContainer('export', place).Cmd).toEqual([place.image]);
  });
});
