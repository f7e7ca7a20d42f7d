/** Repairs as soon as the engine tells of a reason: everything when it was away, one app when a container of it ended. */
import type { Runtime } from '../runtime/runtime.ts';
import { delay } from '../wait.ts';
import type { Reconciler } from './reconciler.ts';

export interface WatchEngineParts {
  readonly runtime: Pick<Runtime, 'watch'>;
  readonly reconciler: Pick<Reconciler, 'visit'>;
  /** One pass over everything. */
  pass(): Promise<void>;
  readonly signal: AbortSignal;
}

/** The engine restarts what crashed by itself; this is how long it gets before forge looks. */
const settleMs = 1_000;

/** Ends when the signal aborts, with every visit it began. */
export async function watchEngine({ runtime, reconciler, pass, signal }: WatchEngineParts): Promise<void> {
  const visits = new Map<string, Promise<void>>();
  const visit = async (app: string): Promise<void> => {
    await delay(settleMs, signal).catch(() => undefined);
    // From here on another end of this app's is a reason to look again.
    visits.delete(app);
    if (!signal.aborted) await reconciler.visit(app, signal);
  };
  for await (const event of runtime.watch(signal)) {
    if (event.kind === 'reconnected') await pass();
    if (event.kind === 'died' && !visits.has(event.app)) visits.set(event.app, visit(event.app));
  }
  await Promise.all(visits.values());
}
