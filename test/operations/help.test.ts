import { expect, test } from 'vitest';
import { helpOf, helpOfAll } from '../../src/operations/help.ts';
import { operations } from '../../src/operations/operations.ts';
import { createStyle } from '../../src/operations/style.ts';

const style = createStyle(false);

test('the help of all commands', () => {
  expect(helpOfAll(operations, style)).toMatchSnapshot();
});

test.each(operations.map((operation) => [operation.name, operation] as const))('the help of %s', (_name, operation) => {
  expect(helpOf(operation, style)).toMatchSnapshot();
});
