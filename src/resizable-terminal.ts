/** The terminal of a person whose window changes its size. */
import type { Terminal } from './domain.ts';

export interface ResizableTerminal extends Terminal {
  /** The window changed; a size of zero says nothing. */
  resize(columns: number, rows: number): void;
}

/** The size is always the newest, also for who asks or listens only later. Zero means that the client does not know: 80×24 then. */
export function createTerminal(columns: number, rows: number): ResizableTerminal {
  const listeners: ((columns: number, rows: number) => void)[] = [];
  const size = { columns: columns || 80, rows: rows || 24 };
  return {
    get columns() {
      return size.columns;
    },
    get rows() {
      return size.rows;
    },
    onResize: (listener) => void listeners.push(listener),
    resize: (newColumns, newRows) => {
      if (!newColumns || !newRows) return;
      Object.assign(size, { columns: newColumns, rows: newRows });
      for (const listener of listeners) listener(newColumns, newRows);
    },
  };
}
