import { expect, it } from 'vitest';
import { watchEngine } from '../../src/deploy/watch-engine.ts';
import type { RuntimeEvent } from '../../src/runtime/watch.ts';

const died = (app: string): RuntimeEvent => ({ kind: 'died', app, name: 'web.1', containerId: 'c', exitCode: 1 });

it('looks once at an app of which several containers ended, and at everything when the engine is back', async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const bothVisited = Promise.withResolvers<void>();
  const events = async function* (): AsyncGenerator<RuntimeEvent> {
    yield died('hello');
    yield died('hello');
    yield died('other');
    yield { kind: 'reconnected' };
    await bothVisited.promise;
  };
  await watchEngine({
    runtime: { watch: events },
    reconciler: {
      visit: async (app) => {
        seen.push(app);
        if (seen.includes('hello') && seen.includes('other')) bothVisited.resolve();
      },
    },
    pass: async () => void seen.push('everything'),
    signal: stop.signal,
  });
  expect(seen.toSorted()).toEqual(['everything', 'hello', 'other']);
});
