import { expect, test } from 'vitest';
import { firewallRules, proxyRules, restoreInput } from '../../src/runtime/firewall-rules.ts';

test('containers reach the public ports of the machine and nothing else of it, and no link-local address', () => {
  const rules = firewallRules({ family: 'ipv4', publicPorts: [80, 22], hasDockerUser: true });
  expect(rules.entries).toEqual([
    { from: 'INPUT', to: 'FORGE-INPUT' },
    { from: 'DOCKER-USER', to: 'FORGE-FORWARD' },
  ]);
  expect(restoreInput(rules).split('\n')).toEqual([
    '*filter',
    ':FORGE-INPUT - [0:0]',
    ':FORGE-FORWARD - [0:0]',
    '-A FORGE-INPUT -i fg+ -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
    '-A FORGE-INPUT -i fg+ -p tcp --dport 80 -j RETURN',
    '-A FORGE-INPUT -i fg+ -p tcp --dport 22 -j RETURN',
    '-A FORGE-INPUT -i fg+ -j REJECT --reject-with icmp-admin-prohibited',
    '-A FORGE-INPUT -i docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
    '-A FORGE-INPUT -i docker0 -p tcp --dport 80 -j RETURN',
    '-A FORGE-INPUT -i docker0 -p tcp --dport 22 -j RETURN',
    '-A FORGE-INPUT -i docker0 -j REJECT --reject-with icmp-admin-prohibited',
    '-A FORGE-FORWARD -i fg+ -d 169.254.0.0/16 -p udp --dport 53 -j RETURN',
    '-A FORGE-FORWARD -i fg+ -d 169.254.0.0/16 -p tcp --dport 53 -j RETURN',
    '-A FORGE-FORWARD -i fg+ -d 169.254.0.0/16 -j REJECT --reject-with icmp-admin-prohibited',
    '-A FORGE-FORWARD -i docker0 -d 169.254.0.0/16 -p udp --dport 53 -j RETURN',
    '-A FORGE-FORWARD -i docker0 -d 169.254.0.0/16 -p tcp --dport 53 -j RETURN',
    '-A FORGE-FORWARD -i docker0 -d 169.254.0.0/16 -j REJECT --reject-with icmp-admin-prohibited',
    'COMMIT',
    '',
  ]);
});

test('without the engine’s own chain, FORWARD is entered directly', () => {
  const rules = firewallRules({ family: 'ipv6', publicPorts: [], hasDockerUser: false });
  expect(rules.entries[1]).toEqual({ from: 'FORWARD', to: 'FORGE-FORWARD' });
  expect(rules.chains['FORGE-INPUT']).toContainEqual(['-i', 'fg+', '-p', 'ipv6-icmp', '-j', 'RETURN']);
});

test('the proxy reaches the addresses of instances by their bridges and no other way', () => {
  expect(restoreInput(proxyRules({ uid: 996, networkPool: '10.224.0.0/12' })).split('\n')).toEqual([
    '*filter',
    ':FORGE-OUTPUT - [0:0]',
    '-A FORGE-OUTPUT -d 10.224.0.0/12 ! -o fg+ -m owner --uid-owner 996 -j REJECT --reject-with icmp-admin-prohibited',
    'COMMIT',
    '',
  ]);
});
