/** In network namespaces of its own: the machine's firewall is not touched. Needs root, iproute2 and iptables. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';

const source = join(import.meta.dirname, '../../src/runtime/firewall.ts');
const id = randomBytes(3).toString('hex');
/** The machine, a container behind a bridge of forge's, and a cloud's metadata service behind the machine. */
const [host, app, cloud] = ['h', 'a', 'c'].map((kind) => `fgt-${kind}-${id}`) as [string, string, string];
const servers: ReturnType<typeof serve>[] = [];

const ip = async (...args: string[]) => await execa('ip', args);
const within = (namespace: string, ...argv: string[]) => execa('ip', ['netns', 'exec', namespace, ...argv], { reject: false });
const serve = (namespace: string, port: number) =>
  execa('ip', ['netns', 'exec', namespace, process.execPath, '-e', `require('node:net').createServer((s) => s.end()).listen(${port}, '0.0.0.0')`], { reject: false });
const script = `
const socket = require('node:net').connect({ host: process.argv[1], port: Number(process.argv[2]), timeout: 1500 });
socket.on('connect', () => process.exit(0)).on('timeout', () => process.exit(2)).on('error', () => process.exit(1));`;
const reaches = async (namespace: string, address: string, port: number) => (await within(namespace, process.execPath, '-e', script, address, String(port))).exitCode === 0;
const applied = async (call: string) => {
  const result = await within(host, process.execPath, '--input-type=module', '-e', `const f = await import(${JSON.stringify(source)}); console.log(JSON.stringify(await f.${call}));`);
  expect(result.stderr).toBe('');
  return result.stdout;
};
const rulesIn = async (command: string) => (await within(host, `${command}-save`, '-t', 'filter')).stdout.split('\n').filter((line) => !line.startsWith('#'));

beforeAll(async () => {
  for (const namespace of [host, app, cloud]) await ip('netns', 'add', namespace);
  for (const [bridge, peer, network, address, far] of [
    ['fg0', app, '10.99.0.1/24', '10.99.0.2/24', '10.99.0.1'],
    ['up0', cloud, '169.254.169.1/24', '169.254.169.254/24', '169.254.169.1'],
  ] as const) {
    await ip('link', 'add', bridge, 'netns', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', peer);
    await ip('-n', host, 'addr', 'add', network, 'dev', bridge);
    await ip('-n', peer, 'addr', 'add', address, 'dev', 'eth0');
    for (const [namespace, name] of [[host, bridge], [host, 'lo'], [peer, 'eth0'], [peer, 'lo']] as const) await ip('-n', namespace, 'link', 'set', name, 'up');
    await ip('-n', peer, 'route', 'add', 'default', 'via', far);
  }
  await within(host, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  await within(host, 'iptables', '-N', 'DOCKER-USER');
  await within(host, 'iptables', '-A', 'DOCKER-USER', '-j', 'RETURN');
  await within(host, 'iptables', '-A', 'FORWARD', '-j', 'DOCKER-USER');
  servers.push(serve(host, 8000), serve(host, 80), serve(cloud, 80), serve(app, 5000));
});

afterAll(async () => {
  for (const server of servers) server.kill();
  await Promise.all(servers);
  for (const namespace of [host, app, cloud]) await execa('ip', ['netns', 'del', namespace], { reject: false });
});

test('without it, containers reach the machine and the cloud’s metadata', async () => {
  await expect.poll(() => reaches(app, '10.99.0.1', 8000), { timeout: 20_000 }).toBe(true);
  await expect.poll(() => reaches(app, '10.99.0.1', 80), { timeout: 20_000 }).toBe(true);
  await expect.poll(() => reaches(app, '169.254.169.254', 80), { timeout: 20_000 }).toBe(true);
});

test('containers reach neither the machine nor the cloud’s metadata, but the public ports; forge reaches containers', async () => {
  expect(JSON.parse(await applied('applyFirewall({ publicPorts: [80], signal: AbortSignal.timeout(10000) })'))).toContain('ipv4');
  expect(await reaches(app, '10.99.0.1', 8000)).toBe(false);
  expect(await reaches(app, '169.254.169.254', 80)).toBe(false);
  expect(await reaches(app, '10.99.0.1', 80)).toBe(true);
  await expect.poll(() => reaches(host, '10.99.0.2', 5000), { timeout: 10_000 }).toBe(true);
});

test('applying it again changes nothing, and puts it first again where another firewall came before', async () => {
  const before = await rulesIn('iptables');
  await applied('applyFirewall({ publicPorts: [80], signal: AbortSignal.timeout(10000) })');
  expect(await rulesIn('iptables')).toEqual(before);
  await within(host, 'iptables', '-I', 'INPUT', '1', '-p', 'tcp', '--dport', '8000', '-j', 'ACCEPT');
  expect(await reaches(app, '10.99.0.1', 8000)).toBe(true);
  await applied('applyFirewall({ publicPorts: [80], signal: AbortSignal.timeout(10000) })');
  expect(await reaches(app, '10.99.0.1', 8000)).toBe(false);
  expect((await rulesIn('iptables')).filter((line) => line === '-A INPUT -j FORGE-INPUT')).toHaveLength(1);
});

test('the proxy’s requests reach an instance, and never a stranger outside who has an instance’s address', async () => {
  const uid = 65_534;
  await ip('-n', cloud, 'addr', 'add', '10.99.7.7/32', 'dev', 'lo');
  await ip('-n', host, 'route', 'add', '10.99.7.0/24', 'via', '169.254.169.254', 'dev', 'up0');
  const asProxy = async (address: string, port: number) => (await within(host, process.execPath, '-e', `process.setgid(${uid}); process.setuid(${uid});${script}`, address, String(port))).exitCode === 0;
  expect(await asProxy('10.99.7.7', 80)).toBe(true);
  await applied(`applyFirewall({ publicPorts: [80], proxy: { uid: ${uid}, networkPool: '10.99.0.0/16' }, signal: AbortSignal.timeout(10000) })`);
  expect(await asProxy('10.99.7.7', 80)).toBe(false);
  expect(await asProxy('10.99.0.2', 5000)).toBe(true);
  expect(await reaches(host, '10.99.7.7', 80)).toBe(true);
});

test('before the engine has started it is where the engine will look first', async () => {
  await within(host, 'iptables', '-F', 'FORWARD');
  await applied('removeFirewall(AbortSignal.timeout(10000))');
  await within(host, 'iptables', '-F', 'DOCKER-USER');
  await within(host, 'iptables', '-X', 'DOCKER-USER');
  await applied('applyFirewall({ publicPorts: [80], signal: AbortSignal.timeout(10000) })');
  expect(await rulesIn('iptables')).toEqual(expect.arrayContaining(['-A FORWARD -j DOCKER-USER', '-A DOCKER-USER -j FORGE-FORWARD']));
  expect(await reaches(app, '169.254.169.254', 80)).toBe(false);
});

test('removing it leaves nothing of it', async () => {
  await applied('removeFirewall(AbortSignal.timeout(10000))');
  expect((await rulesIn('iptables')).filter((line) => line.includes('FORGE'))).toEqual([]);
  expect((await rulesIn('ip6tables')).filter((line) => line.includes('FORGE'))).toEqual([]);
});
