/** Keeps a terminal in a container as large as the person's window. */
import type { Terminal } from '../domain.ts';

/** A terminal that cannot be resized any more has ended: nothing is lost. */
export function followSize(terminal: Terminal, resize: (size: { readonly columns: number; readonly rows: number }) => Promise<void>): void {
  const apply = (columns: number, rows: number) => void resize({ columns, rows }).catch(() => undefined);
  apply(terminal.columns, terminal.rows);
  terminal.onResize(apply);
}
