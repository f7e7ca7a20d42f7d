import { execa } from 'execa';
import { afterEach, expect, it } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { bridgePrefix } from '../../src/labels.ts';
import { ensurePlainNetwork } from '../../src/docker/plain-network.ts';

const name = `forge-test-plain-${process.pid}`;
const options = { name, labels: { 'forge.test': 'plain-network' }, hasNeighbours: false };
const bridgeOf = async () => (await execa('docker', ['network', 'inspect', name, '-f', '{{index .Options "com.docker.network.bridge.name"}}'])).stdout;

afterEach(async () => void (await execa('docker', ['network', 'rm', name], { reject: false })));

it('gives the networks of builds and registry a bridge that the firewall covers, one of an older forge too', async () => {
  const docker = connectDocker('/var/run/docker.sock');
  await execa('docker', ['network', 'create', '--label', 'forge.test=plain-network', name]);
  expect(await bridgeOf()).toBe('');
  await ensurePlainNetwork(docker, options);
  const bridge = await bridgeOf();
  expect(bridge).toMatch(new RegExp(`^${bridgePrefix}[0-9a-f]{12}$`));
  await ensurePlainNetwork(docker, options);
  expect(await bridgeOf()).toBe(bridge);
});
