import { findFact, setFact, type FactKey } from '../store/facts.ts';
import type { Store } from '../store/store.ts';

/**
 * Runs the task when it is time again, as the database remembers: a forge that is restarted every day comes to it too. One
 * that fails is due again at once.
 */
export async function whenDue(key: FactKey, { intervalMs, store }: { readonly intervalMs: number; readonly store: Store }, task: () => Promise<unknown>): Promise<void> {
  const last = Date.parse(findFact(store, key) ?? '');
  const now = store.now().getTime();
  // A time that is still to come was written before the clock was set back.
  if (last <= now && now - last < intervalMs) return;
  await task();
  setFact(store, key, store.now().toISOString());
}
