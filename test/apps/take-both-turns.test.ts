import { expect, it } from 'vitest';
import { takeBothTurns } from '../../src/apps/take-both-turns.ts';
import { createQueue } from '../../src/deploy/queue.ts';
import { operator } from '../../src/operations/actors.ts';
import { createReport } from '../../src/report.ts';
import { createApp, updateApp } from '../../src/store/apps.ts';
import { openTestStore } from '../store/open-test-store.ts';

it('changes that each want the name of the other’s app never sit on one turn and wait for the other', async () => {
  const store = openTestStore();
  const queue = createQueue();
  for (const name of ['a', 'b']) createApp(store, { name });
  const signal = AbortSignal.timeout(15_000);
  const hold = async (name: string) => await queue.take(name, { holder: 'a deploy', isReplaceable: false, signal });
  /** The other name is free at the moment of the question, as when its app goes and comes again meanwhile. */
  const change = async (from: string, to: string, holder: string): Promise<void> => {
    updateApp(store, to, { isBeingRemoved: true });
    const taking = takeBothTurns({ from, to, holder, isRelease: false, actor: operator, signal, report: createReport([]) }, { store, queue, settle: async () => undefined });
    store.db.run('UPDATE apps SET is_being_removed = 0 WHERE name = ?', to);
    using _turns = await taking;
    // Others come to their turn meanwhile if they can.
    await Promise.resolve();
  };
  const busy = [await hold('a'), await hold('b')];
  const changes = [change('a', 'b', 'a clone'), change('b', 'a', 'a clone'), change('b', 'a', 'a rename'), change('a', 'b', 'a rename')];
  for (const turn of busy) turn[Symbol.dispose]();
  await Promise.all(changes);
  for (const name of ['a', 'b']) {
    const turn = queue.takeIfFree(name, 'a look');
    expect(turn).toBeDefined();
    turn?.[Symbol.dispose]();
  }
});
