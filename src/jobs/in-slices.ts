/** Long work in short pieces, so that pushes, logins and the answers of everybody else come in between. */
import { delay } from '../wait.ts';

/** With the commit at its end a piece stays far below what somebody notices. */
const sliceMs = 8;

/**
 * Calls `work` as often as it takes; `next` hands it one thing after the other and says `undefined` when the piece is
 * over. Each thing is handed out once. Rejects with the signal's reason.
 */
export async function inSlices<T extends object>(things: readonly T[], signal: AbortSignal, work: (next: () => T | undefined) => void): Promise<void> {
  let at = 0;
  while (at < things.length) {
    await delay(1, signal);
    const first = at;
    const endsAt = performance.now() + sliceMs;
    work(() => (at === first || performance.now() < endsAt ? things[at++] : undefined));
  }
}
