import { execa } from 'execa';
import { afterAll, expect, test } from 'vitest';
import { networkName } from '../../src/runtime/network.ts';
import { docker, testRuntime } from './support.ts';

const forge = testRuntime(['forge']);
afterAll(async () => await forge[Symbol.asyncDispose]());

test('tells what a container reaches, and that it is closed when a rule is in the way; leaves nothing behind', async () => {
  const open = await forge.runtime.checkFirewall(AbortSignal.timeout(60_000));
  expect(open).toMatchObject({ isTested: true });
  const isOpen = open.reachesHost;
  expect(open.problem === undefined).toBe(!isOpen && !open.reachesLinkLocal);

  // A rule for the bridge of this check alone; the machine's other containers are not touched.
  const network = networkName(forge.dataId, 'forge');
  const { createHash } = await import('node:crypto');
  const bridge = `fg${createHash('sha256').update(`${forge.dataId}/forge`).digest('hex').slice(0, 12)}`;
  const rule = ['INPUT', '-i', bridge, '-j', 'REJECT'];
  await execa('iptables', ['--wait', '-I', ...rule]);
  try {
    const closed = await forge.runtime.checkFirewall(AbortSignal.timeout(60_000));
    expect(closed).toMatchObject({ isTested: true, reachesHost: false });
  } finally {
    await execa('iptables', ['--wait', '-D', ...rule]);
  }
  expect(await docker.listNetworks({ filters: { name: [network] } })).toEqual([]);
  expect(await docker.listContainers({ all: true, filters: { label: [`forge.data=${forge.dataId}`] } })).toEqual([]);
});
