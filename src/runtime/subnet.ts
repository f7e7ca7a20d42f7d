/** Arithmetic of the network pool: which /24 belongs to an index, what it collides with, which address comes next. Pure. */
import { ForgeError } from '../errors.ts';

/** IPv4 range; `base` is the address as a number. */
export interface Range {
  readonly base: number;
  readonly prefix: number;
}

/** Each app gets a /24: 253 instances. */
const subnetPrefix = 24;
const firstHost = 2;
const lastHost = 254;

/** `10.224.0.0/12`; throws `invalid` for anything that does not hold a /24. */
export function parsePool(value: string): Range {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(value);
  const numbers = match?.slice(1).map(Number) ?? [];
  const prefix = numbers[4] ?? 0;
  if (numbers.length !== 5 || numbers.slice(0, 4).some((octet) => octet > 255) || prefix < 8 || prefix > subnetPrefix) {
    throw new ForgeError('invalid', `networkPool: expected an IPv4 range between /8 and /${subnetPrefix} such as 10.224.0.0/12, found ${JSON.stringify(value)}`);
  }
  const address = numbers.slice(0, 4).reduce((sum, octet) => sum * 256 + octet, 0);
  return { base: address - (address % 2 ** (32 - prefix)), prefix };
}

/** How many app networks the pool holds. */
export const subnetCount = (pool: Range): number => 2 ** (subnetPrefix - pool.prefix);

export const subnetAt = (pool: Range, index: number): Range => ({
  base: pool.base + (index % subnetCount(pool)) * 2 ** (32 - subnetPrefix),
  prefix: subnetPrefix,
});

export const formatAddress = (address: number): string => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
export const formatRange = ({ base, prefix }: Range): string => `${formatAddress(base)}/${prefix}`;
export const gatewayOf = ({ base }: Range): string => formatAddress(base + 1);

export const isOverlapping = (a: Range, b: Range): boolean => {
  const size = 2 ** (32 - Math.min(a.prefix, b.prefix));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
};

/** The routes of the host as `/proc/net/route` lists them, without the default route. */
export function parseRoutes(table: string): Range[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 8)
    .map((fields) => ({ base: littleEndian(fields[1] ?? ''), prefix: bitsOf(littleEndian(fields[7] ?? '')) }))
    .filter(({ prefix }) => prefix > 0);
}

const littleEndian = (hex: string): number => Buffer.from(hex, 'hex').toReversed().reduce((sum, byte) => sum * 256 + byte, 0);
const bitsOf = (mask: number): number => mask.toString(2).replaceAll('0', '').length;

/**
 * Subnets to try for an app, in order: its own index, then those from the pool's far end, where no index has come yet.
 * `seed` spreads the detours of several forges on one machine.
 */
export function* candidates(pool: Range, index: number, seed: number): Generator<Range> {
  yield subnetAt(pool, index);
  const count = subnetCount(pool);
  const upper = Math.max(1, Math.floor(count / 2));
  for (let step = 0; step < count; step++) yield subnetAt(pool, count - 1 - ((seed + step) % upper) - (step >= upper ? upper : 0));
}

/**
 * Free addresses of a subnet: those never handed out first, then the ones handed out longest ago.
 * `recent` is oldest first. Throws `exhausted` when there are not enough.
 */
export function pickAddresses(subnet: Range, count: number, { used, recent }: { readonly used: ReadonlySet<string>; readonly recent: readonly string[] }): string[] {
  const all = Array.from({ length: lastHost - firstHost + 1 }, (_, index) => formatAddress(subnet.base + firstHost + index));
  const order = new Map(recent.map((address, index) => [address, index]));
  const free = all.filter((address) => !used.has(address));
  if (free.length < count) {
    throw new ForgeError('exhausted', `the app's network ${formatRange(subnet)} has ${free.length} free addresses, ${count} are needed`, {
      hint: `one app can have at most ${all.length} instances, old and new ones of a deploy counted together`,
    });
  }
  return free.toSorted((a, b) => (order.get(a) ?? -1) - (order.get(b) ?? -1)).slice(0, count);
}
