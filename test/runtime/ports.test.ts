import { expect, test } from 'vitest';
import { portOf } from '../../src/runtime/ports.ts';

test('the setting wins, then the only exposed port, then 5000', () => {
  expect(portOf({ port: 8080 }, { exposedPorts: [80, 443] })).toBe(8080);
  expect(portOf({ port: undefined }, { exposedPorts: [3000] })).toBe(3000);
  expect(portOf({ port: undefined }, { exposedPorts: [] })).toBe(5000);
});

test('several exposed ports are an error that lists them and the command that chooses', () => {
  expect(() => portOf({ port: undefined }, { exposedPorts: [80, 443] })).toThrow(
    expect.objectContaining({ code: 'invalid', message: expect.stringContaining('80, 443'), hint: expect.stringContaining('forge ports:set <app> 80') }),
  );
});
