import fc from 'fast-check';
import { expect, test } from 'vitest';
import { candidates, formatRange, gatewayOf, isOverlapping, parsePool, parseRoutes, pickAddresses, subnetAt, subnetCount } from '../../src/runtime/subnet.ts';

const pool = parsePool('10.224.0.0/12');

test('a pool is cut into /24 networks, each with its gateway', () => {
  expect(subnetCount(pool)).toBe(4096);
  expect(formatRange(subnetAt(pool, 0))).toBe('10.224.0.0/24');
  expect(formatRange(subnetAt(pool, 257))).toBe('10.225.1.0/24');
  expect(formatRange(subnetAt(pool, 4095))).toBe('10.239.255.0/24');
  expect(gatewayOf(subnetAt(pool, 1))).toBe('10.224.1.1');
});

test.each(['', '10.0.0.0', '10.0.0.0/25', '10.0.0.256/16', 'fd00::/8', '10.0.0.0/4'])('%j is refused as a pool', (value) => {
  expect(() => parsePool(value)).toThrow('networkPool: expected an IPv4 range');
});

test('the host’s routes are read without the default route', () => {
  const table = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
vpn0\t0000E00A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`;
  expect(parseRoutes(table).map(formatRange)).toEqual(['172.17.0.0/16', '10.224.0.0/16']);
});

test('ranges overlap when one holds the other', () => {
  expect(isOverlapping(parsePool('10.224.0.0/16'), parsePool('10.224.7.0/24'))).toBe(true);
  expect(isOverlapping(parsePool('10.224.7.0/24'), parsePool('10.224.0.0/16'))).toBe(true);
  expect(isOverlapping(parsePool('10.224.7.0/24'), parsePool('10.224.8.0/24'))).toBe(false);
});

test('an app whose network collides gets another one, from the far end first, and every one is tried once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 16, max: 24 }), fc.nat(10_000), fc.nat(1_000_000), (prefix, index, seed) => {
      const small = parsePool(`10.224.0.0/${prefix}`);
      const [own, ...detours] = [...candidates(small, index, seed)].map(formatRange);
      expect(own).toBe(formatRange(subnetAt(small, index)));
      expect(new Set(detours).size).toBe(subnetCount(small));
    }),
    { numRuns: 50 },
  );
  expect(formatRange([...candidates(pool, 0, 0)][1] ?? pool)).toBe('10.239.255.0/24');
});

test('addresses in use are never handed out, recent ones only when nothing else is left', () => {
  const subnet = parsePool('10.224.0.0/24');
  expect(pickAddresses(subnet, 2, { used: new Set(), recent: [] })).toEqual(['10.224.0.2', '10.224.0.3']);
  expect(pickAddresses(subnet, 1, { used: new Set(['10.224.0.2']), recent: ['10.224.0.3'] })).toEqual(['10.224.0.4']);
  const all = pickAddresses(subnet, 253, { used: new Set(), recent: [] });
  expect(pickAddresses(subnet, 2, { used: new Set([all[0] ?? '']), recent: all })).toEqual(all.slice(1, 3));
  expect(() => pickAddresses(subnet, 2, { used: new Set(all.slice(1)), recent: [] })).toThrow('has 1 free addresses, 2 are needed');
});
