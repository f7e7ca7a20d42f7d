import { expect, it, vi } from 'vitest';
import { followSize } from '../../src/runtime/terminal-size.ts';

it('asks again when the process is still starting, for the size that the window has by then', async () => {
  const asked: string[] = [];
  let resizeWindow: (columns: number, rows: number) => void = () => undefined;
  const resize = async ({ columns, rows }: { columns: number; rows: number }): Promise<void> => {
    asked.push(`${columns}x${rows}`);
    if (asked.length === 2) resizeWindow(120, 40);
    if (asked.length < 4) throw new Error('process not found');
  };
  followSize({ columns: 80, rows: 24, onResize: (listener) => (resizeWindow = listener) }, resize);
  await vi.waitFor(() => expect(asked).toEqual(['80x24', '80x24', '120x40', '120x40']));
  resizeWindow(100, 30);
  await vi.waitFor(() => expect(asked.at(-1)).toBe('100x30'));
  expect(asked).toHaveLength(5);
});
