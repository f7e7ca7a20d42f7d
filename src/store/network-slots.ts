/** Which slot of the network pool an app has. A slot that was given back rests, so that an address does not soon mean another app. */
import { ForgeError } from '../errors.ts';
import type { Store } from './store.ts';

const defaultSlots = 4096;
/** How long a slot rests after its app is gone; pools that are full take the longest rested one earlier. */
const restMs = 60 * 60 * 1000;

export interface SlotOptions {
  /** How many slots the pool has. */
  readonly slots?: number;
  /** Says no to slots that clash with a route of the host. */
  readonly isUsable?: (slot: number) => boolean;
}

/** The app's slot: the one it has, else the lowest that is usable and rested, which becomes its own. Throws `exhausted`. */
export function allocateSubnetIndex(store: Store, app: string, options: SlotOptions = {}): number {
  const { slots = defaultSlots, isUsable = () => true } = options;
  return store.db.transaction(() => {
    const own = store.db.get('SELECT slot FROM network_slots WHERE app = ?', app);
    if (own && isUsable(Number(own['slot'])) && Number(own['slot']) < slots) return Number(own['slot']);
    if (own) releaseSubnetIndex(store, app);
    const slot = lowestRested(store, slots, isUsable) ?? longestReleased(store, slots, isUsable);
    if (slot === undefined) {
      throw new ForgeError('exhausted', `no network is left for ${app}: all ${slots} of the pool are in use`, { hint: 'give networkPool more addresses' });
    }
    store.db.run(
      'INSERT INTO network_slots (slot, app) VALUES (?, ?) ON CONFLICT (slot) DO UPDATE SET app = excluded.app, released_at = NULL',
      slot,
      app,
    );
    return slot;
  });
}

/** Gives the app's slot back, if it has one. */
export function releaseSubnetIndex(store: Store, app: string): void {
  store.db.run('UPDATE network_slots SET app = NULL, released_at = ? WHERE app = ?', store.now().toISOString(), app);
}

function lowestRested(store: Store, slots: number, isUsable: (slot: number) => boolean): number | undefined {
  const restedBefore = new Date(store.now().getTime() - restMs).toISOString();
  const taken = new Set(
    store.db.all('SELECT slot FROM network_slots WHERE app IS NOT NULL OR released_at > ?', restedBefore).map((row) => Number(row['slot'])),
  );
  for (let slot = 0; slot < slots; slot++) if (!taken.has(slot) && isUsable(slot)) return slot;
  return undefined;
}

function longestReleased(store: Store, slots: number, isUsable: (slot: number) => boolean): number | undefined {
  const rows = store.db.all('SELECT slot FROM network_slots WHERE app IS NULL AND slot < ? ORDER BY released_at, slot', slots);
  return rows.map((row) => Number(row['slot'])).find(isUsable);
}
