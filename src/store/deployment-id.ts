/** Ids of deployments: 16 of 0-9 a-z, later ones sort higher, also when the clock stands still or steps back. */
import { randomInt } from 'node:crypto';

/** Milliseconds since 1970 in base 36 have this many digits until the year 5188. */
const timeDigits = 9;
const randomDigits = 7;

/** `newest` is the highest id handed out so far. */
export function nextDeploymentId(now: Date, newest: string | undefined): string {
  const id = digits(now.getTime(), timeDigits) + digits(randomInt(36 ** 7), randomDigits);
  return newest === undefined || id > newest ? id : successor(newest);
}

const digits = (value: number, count: number): string => value.toString(36).padStart(count, '0');

function successor(id: string): string {
  const value = [...id].reduce((sum, digit) => sum * 36n + BigInt(parseInt(digit, 36)), 0n) + 1n;
  return value.toString(36).padStart(id.length, '0');
}
