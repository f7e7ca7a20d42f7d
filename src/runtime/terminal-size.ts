/** Keeps a terminal in a container as large as the person's window. */
import type { Terminal } from '../domain.ts';
import { delay } from '../wait.ts';

interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The engine refuses to resize the terminal of a process that it is still starting. */
const attempts = 100;
const pauseMs = 20;

/** A terminal that cannot be resized any more has ended: nothing is lost. */
export function followSize(terminal: Terminal, resize: (size: Size) => Promise<void>): void {
  let wanted: Size | undefined;
  let isApplying = false;
  const apply = async (): Promise<void> => {
    isApplying = true;
    for (let attempt = 0; wanted && attempt < attempts; attempt += 1) {
      const size = wanted;
      const isDone = await resize(size).then(() => true, () => false);
      if (!isDone) await delay(pauseMs);
      else if (wanted === size) wanted = undefined;
    }
    isApplying = false;
  };
  const follow = (columns: number, rows: number): void => {
    wanted = { columns, rows };
    if (!isApplying) void apply();
  };
  follow(terminal.columns, terminal.rows);
  terminal.onResize(follow);
}
