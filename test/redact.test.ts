import { expect, it } from 'vitest';
import { createRedactor } from '../src/redact.ts';

it('masks the values of the config wherever they stand, the longest first', () => {
  const redact = createRedactor(['hunter2hunter2', 'hunter2hunter2-and-more', 'postgres://me:S3cret@db/app']);
  expect(redact('a hunter2hunter2-and-more b hunter2hunter2 c')).toBe('a [redacted] b [redacted] c');
  expect(redact('connecting to postgres://me:S3cret@db/app')).toBe('connecting to [redacted]');
});

it('masks each line of a value of several lines', () => {
  const redact = createRedactor(['-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END KEY-----']);
  expect(redact('MIIEvQIBADANBgkqhkiG9w0')).toBe('[redacted]');
});

it('leaves short values and plain words alone', () => {
  const redact = createRedactor(['production', 'eu-west', '5000', 'abc1234']);
  expect(redact('production in eu-west on 5000 with abc1234')).toBe('production in eu-west on 5000 with abc1234');
});
