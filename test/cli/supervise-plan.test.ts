import { expect, test } from 'vitest';
import { supervisePlan } from '../../src/cli/supervise-plan.ts';

const plan = supervisePlan({
  program: '/opt/forge/current/bin/forge',
  daemonUser: 'forge-daemon',
  proxyUser: 'forge-proxy',
  logDirectory: '/var/log/forge',
  generations: { proxy: 'p1', serve: 's1' },
  settings: { FORGE_DATA: '/var/lib/forge' },
});

test('the proxy starts first, as its own account, with nothing but the right to bind ports below 1024', () => {
  const [proxy] = plan.programs;
  expect(proxy?.name).toBe('proxy');
  expect(proxy?.argv).toEqual([
    'setpriv', '--reuid=forge-proxy', '--regid=forge-proxy', '--init-groups', '--no-new-privs',
    '--inh-caps=-all,+net_bind_service', '--ambient-caps=-all,+net_bind_service', '--bounding-set=-all,+net_bind_service', '--',
    '/opt/forge/current/bin/forge', 'proxy',
  ]);
});

test('the control plane runs as an account without capabilities, in the generation that was asked for', () => {
  const serve = plan.programs[1];
  expect(serve?.argv.slice(0, 7)).toEqual(['setpriv', '--reuid=forge-daemon', '--regid=forge-daemon', '--init-groups', '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all']);
  expect(serve?.argv.slice(-2)).toEqual(['/opt/forge/current/bin/forge', 'serve']);
  expect(plan.programs.map(({ generation }) => generation)).toEqual(['p1', 's1']);
});

test('the programs see their settings and a plain PATH, and nothing of the environment that installed them', () => {
  for (const { env } of plan.programs) expect(env).toEqual({ FORGE_DATA: '/var/lib/forge', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' });
});
