import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemdUnit, unitNames } from '../../src/cli/systemd-unit.ts';

const folders = { data: '/var/lib/forge', proxyDir: '/var/lib/forge-proxy', doorDir: '/run/forge-door', cacheDir: '/var/cache/forge' };
const unit = (name: string): string[] => systemdUnit(name, folders).split('\n');

describe('the units of systemd', () => {
  test('the process that faces the internet has one capability, and neither the data directory nor the engine', () => {
    const lines = unit('forge-proxy');
    expect(lines).toContain('User=forge-proxy');
    expect(lines).toContain('CapabilityBoundingSet=CAP_NET_BIND_SERVICE');
    expect(lines).toContain('ReadWritePaths=/var/lib/forge-proxy');
    expect(lines).toContain('InaccessiblePaths=-/run/docker.sock -/var/lib/docker');
    expect(lines.filter((line) => line.startsWith('SupplementaryGroups'))).toEqual([]);
  });

  test('the control plane has no capability and may use Docker by its group', () => {
    const lines = unit('forge');
    expect(lines).toContain('CapabilityBoundingSet=');
    expect(lines).toContain('SupplementaryGroups=docker forge forge-proxy');
    expect(lines.find((line) => line.startsWith('ReadWritePaths='))).toMatch(/^ReadWritePaths=\/var\/lib\/forge \/var\/lib\/forge-proxy \/var\/cache\/forge \/run\/forge-door( |$)/);
  });

  test('both are hardened and come back when they end', () => {
    for (const name of ['forge', 'forge-proxy']) {
      for (const line of ['NoNewPrivileges=yes', 'ProtectSystem=strict', 'ProtectHome=yes', 'PrivateTmp=yes', 'Restart=always']) expect(unit(name)).toContain(line);
    }
  });

  test('a restart of the control plane does not restart the proxy', () => {
    expect(unit('forge').filter((line) => /^(Requires|BindsTo|PartOf)=/.test(line))).toEqual([]);
    expect(unit('forge-proxy').filter((line) => /^(Requires|BindsTo|PartOf)=/.test(line))).toEqual([]);
  });

  test('the firewall is there before the first container and the first visitor, and again after each start of Docker', () => {
    expect(unit('forge-firewall-early')).toEqual(expect.arrayContaining(['Before=docker.service forge-proxy.service', 'ExecStart=/opt/forge/current/bin/forge firewall apply', 'WantedBy=multi-user.target docker.service forge-proxy.service']));
    expect(unit('forge-firewall')).toEqual(expect.arrayContaining(['After=docker.service', 'PartOf=docker.service', 'ExecStart=/opt/forge/current/bin/forge firewall apply']));
  });

  test('a folder that a unit could read otherwise is refused, and so is another unit', () => {
    for (const data of ['relative', '/with blank', '/percent%n', '/new\nline', '/$HOME']) expect(() => systemdUnit('forge', { ...folders, data })).toThrowError(/cannot stand in a unit/);
    expect(() => systemdUnit('other', folders)).toThrowError(/there is no unit other/);
  });

  test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd itself finds nothing wrong with them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'forge-units-'));
    try {
      for (const name of unitNames) writeFileSync(join(folder, `${name}.service`), systemdUnit(name, folders).replaceAll(/^(ExecStart=)\S+/gm, '$1/bin/true'));
      const output = execFileSync('sh', ['-c', `systemd-analyze verify ${unitNames.map((name) => join(folder, `${name}.service`)).join(' ')} 2>&1 || true`], { encoding: 'utf8' });
      expect(output.split('\n').filter((line) => line.includes(folder) && /unknown|invalid|ignoring|failed to parse/i.test(line))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
